/** Every call the studio makes, one line each. Bytes travel as base64 inside JSON, raw where they are large. */
import { bytes, json, request } from './http';
import { events, type ServerEvent } from './events';
import type {
  AccountInfo,
  AssetInfo,
  HealthInfo,
  JobInfo,
  JobTaken,
  KeyInfo,
  ModelInfo,
  OwnPublication,
  PasskeyInfo,
  PersonRow,
  PublicationInfo,
  ReceivedShare,
  ServerInfo,
  SessionInfo,
  SharedInfo,
  ShareInfo,
  SignedIn,
  TrustInfo,
} from './shapes';

type Bytes = Uint8Array<ArrayBuffer>;
const V1 = '/api/v1';
const AGE = { 'Content-Type': 'application/age' };
const id = encodeURIComponent;

// --- the server ---
export const getServer = (): Promise<ServerInfo> => json(`${V1}/server`);
export const getTrust = (): Promise<TrustInfo> => json(`${V1}/trust`);
export const getDarkrooms = (): Promise<{ fleet_key: string; notes: string[] }> => json(`${V1}/darkrooms`);
export const getModels = async (): Promise<ModelInfo[]> => (await json<{ models: ModelInfo[] }>(`${V1}/models`)).models;

// --- signing in ---
export const registerStart = (name: string, message: string): Promise<{ response: string }> =>
  json(`${V1}/accounts/register/start`, { method: 'POST', json: { name, request: message } });
export const registerFinish = (body: {
  name: string;
  upload: string;
  owner_recipient: string;
  signing_key: string;
  password_file: string;
  recovery_file: string;
  recovery_token_sha256: string;
}): Promise<SignedIn> =>
  json(`${V1}/accounts/register/finish`, { method: 'POST', json: { ...body, delivery: 'cookie', device: 'browser' } });
export const loginStart = (name: string, message: string): Promise<{ login: string; response: string }> =>
  json(`${V1}/sessions/start`, { method: 'POST', json: { name, request: message } });
export const loginFinish = (login: string, finish: string): Promise<SignedIn> =>
  json(`${V1}/sessions/finish`, { method: 'POST', json: { login, finish, delivery: 'cookie', device: 'browser' } });
export const recoveryStart = (
  name: string,
  token: string,
  message: string,
): Promise<{ login: string; response: string; recovery_file: string }> =>
  json(`${V1}/recovery/start`, { method: 'POST', json: { name, token, request: message } });
export const recoveryFinish = (body: { login: string; upload: string; password_file: string }): Promise<SignedIn> =>
  json(`${V1}/recovery/finish`, { method: 'POST', json: { ...body, delivery: 'cookie', device: 'browser' } });
export const listSessions = async (): Promise<SessionInfo[]> => (await json<{ sessions: SessionInfo[] }>(`${V1}/sessions`)).sessions;
export const endSession = (session: string): Promise<unknown> => json(`${V1}/sessions/${id(session)}`, { method: 'DELETE' });

// --- the account ---
export interface Proof {
  login: string;
  finish: string;
}
export const getAccount = (): Promise<AccountInfo> => json(`${V1}/account`);
export const passwordStart = (message: string): Promise<{ response: string }> =>
  json(`${V1}/account/password/start`, { method: 'POST', json: { request: message } });
export const passwordFinish = (body: {
  upload: string;
  password_file: string;
  recovery_file?: string;
  recovery_token_sha256?: string;
  proof: Proof;
}): Promise<unknown> =>
  json(`${V1}/account/password/finish`, { method: 'POST', json: body });
export const leave = (proof: Proof): Promise<unknown> => json(`${V1}/account`, { method: 'DELETE', json: { proof } });
export const getVaultFile = async (method: string): Promise<string> =>
  (await json<{ file: string }>(`${V1}/vault/files/${id(method)}`)).file;
export const putVaultFile = (method: string, file: string): Promise<unknown> =>
  json(`${V1}/vault/files/${id(method)}`, { method: 'PUT', json: { file } });
export const dropVaultFile = (method: string): Promise<unknown> => json(`${V1}/vault/files/${id(method)}`, { method: 'DELETE' });

// --- passkeys ---
export const passkeyStart = (): Promise<{ ticket: string; options: Record<string, unknown> }> =>
  json(`${V1}/passkeys/register/start`, { method: 'POST', json: {} });
export const passkeyFinish = (body: { ticket: string; credential: unknown; name: string; file: string }): Promise<PasskeyInfo> =>
  json(`${V1}/passkeys/register/finish`, { method: 'POST', json: body });
export const listPasskeys = async (): Promise<PasskeyInfo[]> => (await json<{ passkeys: PasskeyInfo[] }>(`${V1}/passkeys`)).passkeys;
export const dropPasskey = (passkey: string): Promise<unknown> => json(`${V1}/passkeys/${id(passkey)}`, { method: 'DELETE' });
export const passkeyLoginStart = (): Promise<{ ticket: string; options: Record<string, unknown> }> =>
  json(`${V1}/sessions/passkey/start`, { method: 'POST', json: {} });
export const passkeyLoginFinish = (body: { ticket: string; credential: unknown }): Promise<SignedIn> =>
  json(`${V1}/sessions/passkey/finish`, { method: 'POST', json: { ...body, delivery: 'cookie', device: 'browser' } });

// --- keys for programs ---
export const listKeys = async (): Promise<KeyInfo[]> => (await json<{ keys: KeyInfo[] }>(`${V1}/keys`)).keys;
export const createKey = (body: Record<string, unknown>): Promise<KeyInfo> => json(`${V1}/keys`, { method: 'POST', json: body });
export const dropKey = (key: string): Promise<unknown> => json(`${V1}/keys/${id(key)}`, { method: 'DELETE' });

// --- jobs ---
const ticketed = (ticket: string | null): Record<string, string> => (ticket ? { 'Safelight-Ticket': ticket } : {});
export const createJob = (job: {
  sealed: Bytes;
  cost: string;
  retention: string;
  assets: string[];
  idempotencyKey: string;
}): Promise<JobTaken> =>
  json(`${V1}/jobs`, {
    method: 'POST',
    body: job.sealed,
    headers: {
      ...AGE,
      'Safelight-Cost': job.cost,
      'Safelight-Retention': job.retention,
      'Safelight-Assets': job.assets.join(','),
      'Idempotency-Key': job.idempotencyKey,
    },
  });
export const listJobs = async (): Promise<JobInfo[]> => (await json<{ jobs: JobInfo[] }>(`${V1}/jobs?limit=20`)).jobs;
export const cancelJob = (job: string, ticket: string | null): Promise<unknown> =>
  json(`${V1}/jobs/${id(job)}`, { method: 'DELETE', headers: ticketed(ticket) });
export const jobEvents = (job: string, ticket: string | null, signal: AbortSignal): AsyncGenerator<ServerEvent, void, undefined> =>
  events(`${V1}/jobs/${id(job)}/events`, ticketed(ticket), signal);

// --- the library ---
export const listAssets = (cursor: number | null): Promise<{ assets: AssetInfo[]; next: number | null }> =>
  json(`${V1}/assets?limit=500${cursor === null ? '' : `&cursor=${cursor}`}`);
export const getAsset = (asset: string): Promise<AssetInfo> => json(`${V1}/assets/${id(asset)}`);
export const getObject = (asset: string, kind: 'full' | 'thumb' | 'meta'): Promise<Bytes> => bytes(`${V1}/assets/${id(asset)}/${kind}`);
export const getThumbs = async (ids: string[]): Promise<Record<string, string>> =>
  (await json<{ thumbs: Record<string, string> }>(`${V1}/assets/thumbs`, { method: 'POST', json: { ids } })).thumbs;
export const dropAsset = (asset: string): Promise<unknown> => json(`${V1}/assets/${id(asset)}`, { method: 'DELETE' });
export const putAsset = (form: FormData): Promise<AssetInfo> => json(`${V1}/assets`, { method: 'PUT', body: form });
export const getHead = (): Promise<{ head: string | null; seq: number }> => json(`${V1}/vault/head`);
export const putHead = (head: string, after: number): Promise<unknown> =>
  json(`${V1}/vault/head`, { method: 'PUT', json: { head }, headers: { 'If-Match': String(after) } });
export const getSegment = (digest: string): Promise<Bytes> => bytes(`${V1}/vault/segments/${digest}`);
export const putSegment = (digest: string, sealed: Bytes): Promise<unknown> =>
  json(`${V1}/vault/segments/${digest}`, { method: 'PUT', body: sealed, headers: AGE });
export const getExport = async (): Promise<Blob> => (await request(`${V1}/export`)).blob();

// --- sharing ---
export const createShare = (body: Record<string, unknown>): Promise<ShareInfo> => json(`${V1}/shares`, { method: 'POST', json: body });
export const listShares = async (): Promise<ShareInfo[]> => (await json<{ shares: ShareInfo[] }>(`${V1}/shares`)).shares;
export const dropShare = (share: string): Promise<unknown> => json(`${V1}/shares/${id(share)}`, { method: 'DELETE' });
export const openShare = (
  share: string,
  access_token: string,
): Promise<SharedInfo> =>
  json(`${V1}/shares/${id(share)}/open`, { method: 'POST', json: { access_token } });
export const getPerson = (name: string): Promise<{ recipient: string; signing_key: string }> => json(`${V1}/people/${id(name)}`);

// --- public pictures ---
export const publish = (form: FormData): Promise<OwnPublication> => json(`${V1}/publications`, { method: 'POST', body: form });
export const listPublications = async (): Promise<OwnPublication[]> =>
  (await json<{ publications: OwnPublication[] }>(`${V1}/publications`)).publications;
export const dropPublication = (publication: string): Promise<unknown> =>
  json(`${V1}/publications/${id(publication)}`, { method: 'DELETE' });
export const explore = (cursor: string | null): Promise<{ publications: PublicationInfo[]; next: string | null }> =>
  json(`${V1}/explore?limit=48${cursor === null ? '' : `&cursor=${id(cursor)}`}`);
export const getPublication = (publication: string): Promise<PublicationInfo> => json(`${V1}/publications/${id(publication)}`);
export const pictureUrl = (publication: string): string => `${V1}/publications/${id(publication)}/picture`;
export const getPicture = (publication: string): Promise<Bytes> => bytes(pictureUrl(publication));

// --- for whoever runs the server ---
export const listPeople = (): Promise<{ people: PersonRow[]; plans: string[] }> => json(`${V1}/admin/people`);
export const changePerson = (person: string, body: Record<string, unknown>): Promise<unknown> =>
  json(`${V1}/admin/people/${id(person)}`, { method: 'PATCH', json: body });
export const getHealth = (): Promise<HealthInfo> => json(`${V1}/admin/health`);
export const listReceived = async (): Promise<ReceivedShare[]> => (await json<{ shares: ReceivedShare[] }>(`${V1}/shares/received`)).shares;
export const openReceived = (share: string): Promise<SharedInfo> => json(`${V1}/shares/received/${id(share)}`);
