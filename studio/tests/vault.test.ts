import { describe, expect, test } from 'vitest';
import * as age from '$vault/age';
import { canonical, canonicalBytes, fromHex, sha256Hex, text, toHex, utf8 } from '$vault/codec';
import { openObject, pack, padme, paddedLength, unpack, verify, type Expected } from '$vault/container';
import type { IndexEntry } from '$vault/types';
import { LibraryIndex } from '$vault/index';
import { checkNotOlder, headBytes, headDigest, nextHead, openSegment, readHead, sealSegment } from '$vault/head';
import * as keys from '$vault/keys';
import { makeKeyRecord, openNote, readDarkroomNote, verifyDarkroomNote } from '$vault/notes';
import { accountName, stretchedPassword } from '$vault/opaque';
import { costOf } from '$vault/recipe';
import { readMeta, unpackReply } from '$vault/reply';
import { openEnvelope, sealRequest } from '$vault/request';
import { accessToken, linkIdentity, openBundle, parseSecret, secretText } from '$vault/share';
import { stretch } from '$vault/stretch';
import { readTar } from '$vault/tar';
import { raw, vectors } from './vectors';

const K = vectors('keys');
const C = vectors('containers');
const S = vectors('sealed');
const H = vectors('head');
const N = vectors('notes');
const R = vectors('requests');

describe('keys', () => {
  test.each(K.identities as { seed: string; identity: string; recipient: string }[])('identity $recipient', ({ seed, identity, recipient }) => {
    expect(keys.identityFromSeed(fromHex(seed))).toEqual({ text: identity, recipient });
    expect(keys.parseIdentity(`# a comment\n\n${identity}\n`).recipient).toBe(recipient);
  });

  test.each(K.refused_identities as string[])('refuses an identity that is not one', (bad) => {
    expect(() => keys.parseIdentity(bad)).toThrow();
  });

  test('owner.txt goes in and out unchanged', () => {
    expect(keys.ownerText(keys.parseOwner(K.owner_txt))).toBe(K.owner_txt);
  });

  test('owner.txt after a rotation holds what O was before, and opens what was sealed to it', async () => {
    const rotated = keys.parseOwner(K.rotated_owner_txt);
    expect(keys.ownerText(rotated)).toBe(K.rotated_owner_txt);
    expect(keys.recipientsOf(rotated)).toEqual(K.rotated_recipients);
    const entries = await openSegment(raw(H.segment), H.segment_sha256, rotated);
    expect(entries).toEqual(H.entries);
    const stranger = keys.ownerKeys(rotated.identity, rotated.signingSeed);
    await expect(openSegment(raw(H.segment), H.segment_sha256, stranger)).rejects.toThrow();
  });

  test('signatures agree', () => {
    expect(keys.publicHex(fromHex(K.signing.seed))).toBe(K.signing.public);
    const message = raw(K.signing.message);
    expect(keys.sign(fromHex(K.signing.seed), message)).toBe(K.signing.signature);
    expect(keys.signatureOk(K.signing.public, message, K.signing.signature)).toBe(true);
    expect(keys.signatureOk(K.signing.public, utf8('abd'), K.signing.signature)).toBe(false);
  });

  test('recovery codes', () => {
    const code = fromHex(K.recovery.code);
    expect(keys.recoveryText(code)).toBe(K.recovery.text);
    for (const typed of [K.recovery.text, ...K.recovery.also_accepted]) expect(keys.parseRecovery(typed)).toEqual(code);
    for (const typed of K.recovery.refused) expect(() => keys.parseRecovery(typed)).toThrow();
    expect(toHex(keys.recoveryToken(code))).toBe(K.recovery.token);
    expect(sha256Hex(keys.recoveryToken(code))).toBe(K.recovery.token_sha256);
  });

  test('unlock identities and verification codes', () => {
    for (const { method, secret, identity } of K.unlock ?? []) {
      expect(keys.unlockIdentity(method, fromHex(secret)).text).toBe(identity);
    }
  });

  test('api keys', () => {
    expect(keys.keyIdentity(K.api_key.key).text).toBe(K.api_key.identity);
    expect(sha256Hex(utf8(K.api_key.key))).toBe(K.api_key.key_sha256);
  });

  test('names', () => {
    for (const [typed, kept] of Object.entries(K.names.accepted)) expect(accountName(typed)).toBe(kept);
    for (const typed of K.names.refused) expect(() => accountName(typed)).toThrow();
  });

  test('stretching', async () => {
    expect(toHex(await stretch(K.stretch.password, fromHex(K.stretch.salt)))).toBe(K.stretch.output);
    const { name, password, stretched } = K.opaque_password;
    expect(await stretchedPassword(name, password)).toBe(stretched);
  });

  test('share links', async () => {
    const secret = fromHex(K.share.secret);
    expect(secretText(secret)).toBe(K.share.text);
    expect(parseSecret(K.share.text)).toEqual(secret);
    expect(() => parseSecret(K.share.text.slice(1))).toThrow();
    expect(toHex(accessToken(secret))).toBe(K.share.access_token);
    expect((await linkIdentity(secret, null, null)).text).toBe(K.share.identity);
    expect((await linkIdentity(secret, K.share.passphrase, fromHex(K.share.salt))).text).toBe(K.share.identity_with_passphrase);
  });
});

describe('containers', () => {
  test('padding lengths', () => {
    for (const { n, padme: padded, full, thumb, request } of C.padding) {
      expect([n, padme(n), paddedLength('full', n), paddedLength('thumb', n), paddedLength('request', n)]).toEqual([n, padded, full, thumb, request]);
    }
  });

  test('packs the same bytes and opens them', async () => {
    const { v: _v, signature: _s, size_bytes: _n, sha256: _h, darkroom_key: _k, ...unsigned } = C.manifest;
    const packed = await pack(unsigned, raw(C.payload), fromHex(C.signing_seed));
    expect(sha256Hex(packed)).toBe(C.container_sha256);
    const { manifest, payload } = await unpack(packed);
    expect(canonical(manifest)).toBe(C.manifest_canonical);
    expect(payload).toEqual(raw(C.payload));
    await verify(manifest, C.expected);
  });

  test.each(C.refused_containers as { container: string; why: string }[])('refuses a container: $why', async ({ container }) => {
    await expect(unpack(raw(container))).rejects.toThrow();
  });

  test.each(Object.keys(C.expected))('refuses another %s', async (field) => {
    const { manifest } = await unpack(raw(C.container));
    await expect(verify(manifest, { ...C.expected, [field]: 'reply' })).rejects.toThrow();
  });
});

interface SealedVector {
  why: string;
  sealed: string;
  identity: string;
  expected: Expected;
  payload: string;
}

describe('sealed', () => {
  test.each(S.must_open as SealedVector[])('opens', async ({ sealed, identity, expected, payload }) => {
    const found = await openObject(raw(sealed), keys.parseIdentity(identity), expected);
    expect(found.payload).toEqual(raw(payload));
  });

  test('reads the meta of an upload, which has no recipe', () => {
    const upload = (S.must_open as SealedVector[])[2];
    expect(readMeta(raw(upload?.payload ?? ''))).toMatchObject({ recipe: null, words: ['my', 'cat'] });
  });

  test.each(S.must_be_refused as SealedVector[])('refuses: $why', async ({ sealed, identity, expected }) => {
    await expect(openObject(raw(sealed), keys.parseIdentity(identity), expected)).rejects.toThrow();
  });

  test('reads a reply', async () => {
    const opened = await unpack(await age.open(raw(S.reply.sealed), keys.parseIdentity(S.reply.identity)));
    const { reply, pictures } = unpackReply(opened.payload);
    expect(reply).toEqual(S.reply.json);
    expect(pictures.map((p) => new Uint8Array(p))).toEqual(S.reply.pictures.map(raw));
  });

  test('opens a share', async () => {
    const identity = await linkIdentity(fromHex(S.share.secret), null, null);
    expect(await openBundle(raw(S.share.bundle), identity, null)).toEqual(S.share.json);
    await expect(openBundle(raw(S.share.bundle), identity, '00'.repeat(32))).rejects.toThrow();
  });
});

describe('the age test kit', () => {
  // Plain X25519 files without armor are the only form the vault reads; every other one must be refused.
  const kit = Object.entries(vectors('cctv-age').vectors as Record<string, string>);

  test.each(kit)('%s', async (_name, encoded) => {
    const file = raw(encoded);
    const gap = String.fromCharCode(...file.subarray(0, 4096)).indexOf('\n\n');
    const fields = new Map(
      String.fromCharCode(...file.subarray(0, gap))
        .split('\n')
        .map((line) => line.split(': ') as [string, string]),
    );
    if (fields.get('compressed')) return;
    const body = file.subarray(gap + 2);
    const identity = fields.get('identity')?.startsWith('AGE-SECRET-KEY-1') ? keys.parseIdentity(fields.get('identity') ?? '') : keys.newIdentity();
    const opened = await age.open(body, identity).catch(() => null);
    if (fields.get('expect') !== 'success') expect(opened).toBeNull();
    if (opened) expect(sha256Hex(opened)).toBe(fields.get('payload'));
    if (/^x25519$|^stream_(last|two|three)_chunk(_full)?$/.test(_name)) expect(opened).not.toBeNull();
  });
});

describe('requests', () => {
  test('canonical form, digest and cost', () => {
    expect(canonical(R.request.recipe)).toBe(R.recipe_canonical);
    expect(sha256Hex(canonicalBytes(R.request.recipe))).toBe(R.recipe_digest);
    expect(costOf(R.request.recipe)).toEqual(R.cost_header);
  });

  test('a request sealed here opens with either darkroom and holds the same bytes', async () => {
    const inputs = new Map(Object.entries(R.inputs as Record<string, string>).map(([digest, data]) => [digest, raw(data)]));
    const darkrooms = (R.darkroom_identities as string[]).map((identity) => keys.parseIdentity(identity));
    const sealed = await sealRequest(R.request, inputs, darkrooms.map((d) => d.recipient));
    for (const darkroom of darkrooms) {
      const ours = await age.open(sealed, darkroom, darkrooms.length);
      const theirs = await age.open(raw(R.sealed), darkroom, darkrooms.length);
      expect(readTar(ours)[0]?.name).toBe('request.json');
      expect(sha256Hex(ours)).toBe(sha256Hex(theirs));
    }
  });

  test('opens an envelope', async () => {
    const envelope = raw(R.request.assets[0].envelope);
    expect((await openEnvelope(envelope, keys.parseIdentity(R.envelope_owner))).text).toBe(R.envelope_identity);
  });
});

describe('head', () => {
  const owner = keys.parseOwner(H.owner_txt);

  test('heads follow each other with the same bytes', () => {
    const first = nextHead(null, [], 0, owner);
    expect(text(headBytes(first))).toBe(H.heads[0]);
    const second = nextHead(first, [H.segment_sha256], 1, owner);
    expect(text(headBytes(second))).toBe(H.heads[1]);
    expect([first, second].map(headDigest)).toEqual(H.digests);
    expect(readHead(utf8(H.heads[1]), owner.signingKey)).toEqual(second);
  });

  test.each(H.refused as { head: string; why: string }[])('refuses a head: $why', ({ head }) => {
    expect(() => readHead(utf8(head), owner.signingKey)).toThrow();
  });

  test('shows a rollback', () => {
    const seen = { seq: H.rollback.seen_seq, digest: H.rollback.seen_digest };
    for (const head of H.rollback.accepted) checkNotOlder(JSON.parse(head), seen);
    for (const head of H.rollback.refused) expect(() => checkNotOlder(JSON.parse(head), seen)).toThrow();
    expect(() => checkNotOlder(null, seen)).toThrow();
  });

  test('an index opens in any order, takes only what the head names, and is not written before it is whole', async () => {
    const [first] = H.entries as IndexEntry[];
    if (!first) throw new Error('the vectors have an entry');
    const made = new LibraryIndex();
    const other = { ...first, asset: `ast_${'0'.repeat(26)}` };
    const filled = Array.from({ length: 256 }, (_, i) => ({ ...first, asset: `ast_1${String(i).padStart(25, '0')}` }));
    const { head, segments } = await made.update([...filled, other], [], owner);
    expect(segments.length).toBe(2);
    const index = LibraryIndex.of(head, { seq: 0, digest: '' }, owner);
    expect(index.missing).toEqual(segments.map(({ digest }) => digest));
    const [one, two] = segments;
    if (!one || !two) throw new Error('two segments');
    expect(await index.take(two.digest, two.sealed, owner)).toEqual([other]);
    await expect(index.update([], [other.asset], owner)).rejects.toThrow();
    await expect(index.take(one.digest, two.sealed, owner)).rejects.toThrow();
    await expect(index.take('0'.repeat(64), one.sealed, owner)).rejects.toThrow();
    expect(index.missing).toEqual([one.digest]);
    await index.take(one.digest, one.sealed, owner);
    expect(index.missing).toEqual([]);
    expect(index.entries.size).toBe(257);
    const later = await index.update([], [other.asset], owner);
    expect(later.seen.seq).toBe(2);
    expect(later.segments).toEqual([]);
  });

  test('segments', async () => {
    expect(await openSegment(raw(H.segment), H.segment_sha256, owner)).toEqual(H.entries);
    await expect(openSegment(raw(H.segment), '0'.repeat(64), owner)).rejects.toThrow();
    const { sealed, digest } = await sealSegment(H.entries, owner, '2026-11-28');
    expect(await openSegment(sealed, digest, owner)).toEqual(H.entries);
  });
});

describe('notes', () => {
  test('a darkroom key', () => {
    expect(readDarkroomNote(N.note, N.fleet_key)).toEqual(N.key);
    for (const at of N.accepted_at) expect(verifyDarkroomNote(N.note, N.fleet_key, new Date(at))).toEqual(N.key);
    for (const at of N.refused_at) expect(() => verifyDarkroomNote(N.note, N.fleet_key, new Date(at))).toThrow();
  });

  test.each(N.refused as { note: string; why: string }[])('refuses a note: $why', ({ note }) => {
    expect(() => readDarkroomNote(note, N.fleet_key)).toThrow();
  });

  test('an API key record has the same bytes', () => {
    const lines = openNote('safelight-owner', N.key_record_owner_signing_key, N.key_record);
    const value = (name: string): string => lines.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1) ?? '';
    const made = makeKeyRecord(
      {
        name: value('name'),
        owner_recipient: value('owner'),
        owner_signing_key: value('owner-signing-key'),
        key_recipient: value('key-recipient'),
        secret_sha256: value('secret-sha256'),
        scopes: value('scopes').split(','),
        expires_at: new Date(value('expires')),
      },
      keys.parseOwner(K.owner_txt).signingSeed,
    );
    expect(made).toBe(N.key_record);
  });
});
