/** What the server answers: names for the generated types of docs/reference/openapi.json. */
import type { components } from './schema';

type Schemas = components['schemas'];

export type Problem = Schemas['Problem'];
export type ModelInfo = Schemas['ModelOut'];
export type ServerInfo = Schemas['ServerInfo'];
export type TrustInfo = Schemas['Trust'];
export type LabelLine = Schemas['LabelLine'];
export type AccountInfo = Schemas['AccountOut'];
export type SessionInfo = Schemas['SessionOut'];
export type SignedIn = Schemas['SignedInAnswer'];
export type JobInfo = Schemas['JobOut'];
export type JobTaken = Schemas['JobTaken'];
export type AssetInfo = Schemas['AssetOut'];
export type ShareInfo = Schemas['ShareOut'];
export type SharedInfo = Schemas['SharedOut'];
export type ReceivedShare = Schemas['ReceivedOut'];
export type PublicationInfo = Schemas['PublicationOut'];
export type OwnPublication = Schemas['OwnPublicationOut'];
export type KeyInfo = Schemas['KeyOut'];
export type PasskeyInfo = Schemas['PasskeyOut'];
export type PersonRow = Schemas['PersonAdmin'];
export type HealthInfo = Schemas['HealthOut'];
