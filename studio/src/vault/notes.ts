/** Signed notes (https://c2sp.org/signed-note): darkroom keys, and the owner's record for an API key. */
import { fromBase64, fromHex, parseTime, concat, sha256Hex, timeText, toBase64, toHex, utf8 } from './codec';
import { KeyNoteError, SealError } from './errors';
import { checkRecipient, publicHex, sign, signatureOk } from './keys';
import type { DarkroomKey } from './types';

const FLEET = 'safelight-fleet';
const OWNER = 'safelight-owner';
const SKEW_MS = 120_000;
const MAX_CHARS = 4096;

const keyHash = (name: string, publicKey: string): string =>
  sha256Hex(concat(utf8(`${name}\n`), Uint8Array.of(1), fromHex(publicKey))).slice(0, 8);

/** The lines of a note that the key `publicKey` signed as `name`. */
export function openNote(name: string, publicKey: string, note: string): string[] {
  if (note.length > MAX_CHARS) throw new KeyNoteError('a note is over its limit');
  const gap = note.indexOf('\n\n');
  const prefix = `\u2014 ${name} `;
  const tail = note.slice(gap + 2);
  if (gap < 0 || !tail.startsWith(prefix) || !tail.endsWith('\n') || note.includes('\r')) {
    throw new KeyNoteError('a note is not signed by the key that is pinned');
  }
  const body = note.slice(0, gap);
  let blob: Uint8Array;
  try {
    blob = fromBase64(tail.slice(prefix.length, -1));
  } catch {
    throw new KeyNoteError("a note's signature is not in the right form");
  }
  const ours = blob.length === 68 && toHex(blob.subarray(0, 4)) === keyHash(name, publicKey);
  if (!ours || !signatureOk(publicKey, utf8(`${body}\n`), toHex(blob.subarray(4)))) {
    throw new KeyNoteError('a note is not signed by the key that is pinned');
  }
  return body.split('\n');
}

function values(lines: string[], header: string, names: string[]): string[] {
  if (lines.length !== names.length + 1 || lines[0] !== header) throw new KeyNoteError('a note is not of the kind that is expected here');
  return names.map((name, i) => {
    const line = lines[i + 1] ?? '';
    if (!line.startsWith(`${name} `)) throw new KeyNoteError("a note's lines are not the expected ones");
    return line.slice(name.length + 1);
  });
}

/** The key in a note signed by the pinned fleet key, whatever the time is now. */
export function readDarkroomNote(note: string, fleetKey: string): DarkroomKey {
  const names = ['darkroom', 'recipient', 'signing-key', 'not-before', 'announced-until', 'keeps-until'];
  const [darkroom = '', recipient = '', signing_key = '', not_before = '', announced_until = '', keeps_until = ''] = values(
    openNote(FLEET, fleetKey, note),
    'safelight-darkroom/v1',
    names,
  );
  if (!/^[0-9a-f]{64}$/.test(signing_key)) throw new KeyNoteError('a note holds a key that is not 64 hexadecimal digits');
  try {
    checkRecipient(recipient);
    const announced = (parseTime(announced_until).getTime() - parseTime(not_before).getTime()) / 1000;
    const kept = (parseTime(keeps_until).getTime() - parseTime(announced_until).getTime()) / 1000;
    if (!(announced > 0 && announced <= 600 && kept >= 0 && kept <= 25 * 3600)) {
      throw new KeyNoteError('a darkroom key is announced or kept for longer than is allowed');
    }
  } catch (error) {
    if (error instanceof SealError) throw new KeyNoteError(error.message);
    throw error;
  }
  return { darkroom, recipient, signing_key, not_before, announced_until, keeps_until };
}

/** The key in a note that may be sealed to now. */
export function verifyDarkroomNote(note: string, fleetKey: string, now: Date): DarkroomKey {
  const key = readDarkroomNote(note, fleetKey);
  if (now.getTime() + SKEW_MS < parseTime(key.not_before).getTime()) throw new KeyNoteError('a darkroom key note is from the future');
  if (now > parseTime(key.announced_until)) throw new KeyNoteError('a darkroom key note has expired');
  return key;
}

/** The keys that may be sealed to now, the longest announced first; throws if there are notes and none is good. */
export function liveDarkrooms(notes: readonly string[], fleetKey: string): { note: string; key: DarkroomKey }[] {
  const now = new Date();
  const found: { note: string; key: DarkroomKey }[] = [];
  let problem: unknown = null;
  for (const note of notes) {
    try {
      found.push({ note, key: verifyDarkroomNote(note, fleetKey, now) });
    } catch (error) {
      problem = error;
    }
  }
  if (found.length === 0 && problem) throw problem;
  return found.sort((a, b) => (a.key.announced_until < b.key.announced_until ? 1 : -1));
}

/** A signed note over these lines. */
export function signNote(name: string, seed: Uint8Array, lines: readonly string[]): string {
  if (lines.some((line) => !line || /[\r\n]/.test(line))) throw new KeyNoteError("a note's line is empty or broken");
  const body = `${lines.join('\n')}\n`;
  const blob = concat(fromHex(keyHash(name, publicHex(seed))), fromHex(sign(seed, utf8(body))));
  return `${body}\n\u2014 ${name} ${toBase64(blob)}\n`;
}

export interface KeyRecord {
  name: string;
  owner_recipient: string;
  owner_signing_key: string;
  key_recipient: string;
  secret_sha256: string;
  scopes: readonly string[];
  expires_at: Date | null;
}

/** The owner's signed record for a new API key: to whom its results may be sealed. */
export function makeKeyRecord(record: KeyRecord, seed: Uint8Array): string {
  return signNote(OWNER, seed, [
    'safelight-api-key/v1',
    `name ${record.name}`,
    `owner ${record.owner_recipient}`,
    `owner-signing-key ${record.owner_signing_key}`,
    `key-recipient ${record.key_recipient}`,
    `secret-sha256 ${record.secret_sha256}`,
    `scopes ${record.scopes.join(',') || '-'}`,
    `expires ${record.expires_at ? timeText(record.expires_at) : 'never'}`,
  ]);
}
