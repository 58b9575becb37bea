/** The little of the vault that the page itself may use: text forms, no keys. */
export { wordsOf } from './words';
export { canonical, fromBase64, sha256Hex, toBase64 } from './codec';
