/** OPAQUE (RFC 9807): one password signs in and unlocks, and the server never sees it. */
import { fromBase64, fromBase64Url, own, sha256Hex, fromHex, toBase64, toBase64Url, toHex, utf8 } from './codec';
import { SignInError, TypedError } from './errors';
import { stretch } from './stretch';
import type { Bytes } from './types';

/** Inside OPAQUE; what opaque-snake uses. The password is stretched far harder before it comes here. */
const KEY_STRETCHING = { 'argon2id-custom': { iterations: 2, memory: 19_456, parallelism: 1 } };

/** Loaded on the first sign-in: the page before the first picture does not carry it. */
async function opaque(): Promise<typeof import('@serenity-kit/opaque').client> {
  const library = await import('@serenity-kit/opaque');
  await library.ready;
  return library.client;
}

export function accountName(typed: string): string {
  const name = typed.trim().toLowerCase();
  if (!/^[a-z0-9]([a-z0-9._-]{0,30}[a-z0-9])?$/.test(name)) throw new TypedError('not a name for an account');
  return name;
}

/** What OPAQUE gets as the password: 64 hexadecimal digits, bound to the account's name. */
export async function stretchedPassword(name: string, password: string): Promise<string> {
  const salt = fromHex(sha256Hex(utf8(`safelight/password/v1\n${accountName(name)}`)).slice(0, 32));
  return toHex(await stretch(password, salt));
}

/** The client's half of an exchange in progress: lives in memory, works once. */
export interface Exchange {
  state: string;
  stretched: string;
}

const outward = (message: string): string => toBase64(fromBase64Url(message));
const inward = (message: string): string => toBase64Url(fromBase64(message));

export async function registrationStart(name: string, password: string): Promise<{ request: string; exchange: Exchange }> {
  const stretched = await stretchedPassword(name, password);
  const { clientRegistrationState, registrationRequest } = (await opaque()).startRegistration({ password: stretched });
  return { request: outward(registrationRequest), exchange: { state: clientRegistrationState, stretched } };
}

export async function registrationFinish(exchange: Exchange, response: string): Promise<{ upload: string; exportKey: Bytes }> {
  const result = (await opaque()).finishRegistration({
    clientRegistrationState: exchange.state,
    registrationResponse: inward(response),
    password: exchange.stretched,
    keyStretching: KEY_STRETCHING,
  });
  return { upload: outward(result.registrationRecord), exportKey: own(fromBase64Url(result.exportKey)) };
}

export async function loginStart(name: string, password: string): Promise<{ request: string; exchange: Exchange }> {
  const stretched = await stretchedPassword(name, password);
  const { clientLoginState, startLoginRequest } = (await opaque()).startLogin({ password: stretched });
  return { request: outward(startLoginRequest), exchange: { state: clientLoginState, stretched } };
}

export async function loginFinish(exchange: Exchange, response: string): Promise<{ finish: string; exportKey: Bytes }> {
  const result = (await opaque()).finishLogin({
    clientLoginState: exchange.state,
    loginResponse: inward(response),
    password: exchange.stretched,
    keyStretching: KEY_STRETCHING,
  });
  if (!result) throw new SignInError();
  return { finish: outward(result.finishLoginRequest), exportKey: own(fromBase64Url(result.exportKey)) };
}
