/** The sealed request: what a caller asks of a darkroom, and what only a darkroom may read. */
import * as age from './age';
import { canonicalBytes, newId, random, sha256Hex, timeText, toBase64, toHex, utf8 } from './codec';
import { addPad } from './container';
import { SealError } from './errors';
import { newIdentity, parseIdentity, type Identity } from './keys';
import { recipeInputs } from './recipe';
import type { Bytes, MediaType, Recipe, Retention } from './types';

export interface AssetSlot {
  id: string;
  recipient: string | null;
  envelope: string | null;
}

/** Everything in request.json. */
export interface SealedRequest {
  v: 1;
  request_nonce: string;
  not_after: string;
  account_tag: string;
  owner_recipient: string | null;
  owner_signing_key: string | null;
  assets: AssetSlot[];
  reply_recipient: string;
  retention: Retention;
  recipe: Recipe;
  format: MediaType;
  previews: boolean;
  publish: boolean;
  key_recipient: string | null;
  key_record: string | null;
  input_identities: Record<string, string>;
  darkroom_notes: string[];
}

export const newNonce = (): string => toHex(random(16));

/** `minutes` from now, in the form requests use. */
export const notAfter = (now: Date, minutes: number): string => timeText(new Date(now.getTime() + minutes * 60_000));

/** The key envelope: A as an identity file, sealed to O. */
export const sealEnvelope = (asset: Identity, owner: string): Promise<Bytes> => age.seal(utf8(`${asset.text}\n`), [owner]);

/** Undoes {@link sealEnvelope}. */
export async function openEnvelope(envelope: Uint8Array, owner: age.Opener): Promise<Identity> {
  return parseIdentity(await age.openText(envelope, owner));
}

/** A place for one kept picture, and the identity that opens it: the caller makes both. */
export async function newSlot(owner: string): Promise<{ slot: AssetSlot; identity: Identity }> {
  const identity = newIdentity();
  const envelope = toBase64(await sealEnvelope(identity, owner));
  return { slot: { id: newId('ast'), recipient: identity.recipient, envelope }, identity };
}

/** Seals to one, two or three darkrooms. `inputs` maps each digest the recipe names to the encoded file. */
export async function sealRequest(
  request: SealedRequest,
  inputs: ReadonlyMap<string, Uint8Array>,
  darkrooms: readonly string[],
): Promise<Bytes> {
  if (darkrooms.length < 1 || darkrooms.length > 3) throw new SealError('a request is sealed to 1 to 3 darkrooms');
  const digests = recipeInputs(request.recipe);
  if (digests.length !== inputs.size) throw new SealError('a recipe names other inputs than were given');
  const entries = [{ name: 'request.json', data: canonicalBytes(request) as Uint8Array }];
  for (const [i, digest] of digests.entries()) {
    const data = inputs.get(digest);
    if (!data || sha256Hex(data) !== digest) throw new SealError('an input does not have the digest that the recipe names');
    entries.push({ name: `input-${i}`, data });
  }
  return age.seal(addPad('request', entries), darkrooms);
}
