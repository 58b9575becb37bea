/** The worker's entry: the vault on one side, plain messages on the other. */
import type { Answer, Ask } from './calls';
import { VaultError } from './errors';
import { Vault } from './vault';

const vault = new Vault();
const scope = self as unknown as { postMessage: (answer: Answer) => void; onmessage: ((event: MessageEvent<Ask>) => void) | null };

scope.onmessage = async ({ data: { id, call, args } }) => {
  try {
    const value = await vault.call(call, args);
    scope.postMessage({ id, value });
  } catch (error) {
    const known = error instanceof VaultError;
    scope.postMessage({ id, code: known ? error.code : 'vault', message: known ? error.message : 'the vault could not do that' });
  }
};
