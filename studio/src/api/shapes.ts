/** What the server answers, by the names of docs/reference/openapi.json. Times are RFC 3339 text in UTC. */

export interface Problem {
  type: string;
  title: string;
  status: number;
  code: string;
  hint: string;
  category?: string | null;
}

export interface ModelInfo {
  name: string;
  digest: string;
  family: string;
  kind: 'model' | 'adapter';
  native_size_px: number;
  default_steps: number;
  default_guidance: number;
  side_step_px: number;
  licence: string | null;
  commercial: boolean | null;
  price_example: number;
}

export interface ServerInfo {
  name: string;
  version: string;
  guests: boolean;
  sign_up: boolean;
  darkroom: { state: string; device: string | null; confinement: Record<string, unknown>; error: string | null };
  retention: { erasure_days: number };
  protections: string[];
  limits: {
    max_upload_bytes: number;
    max_prompt_chars: number;
    max_side_px: number;
    max_pixels: number;
    max_count: number;
    max_steps: number;
    not_after_minutes: number;
  };
}

export interface LabelLine {
  [key: string]: unknown;
}

export interface TrustInfo {
  sentences: string[];
  label: LabelLine[];
  fleet_key: string;
  operator: string;
  law: string;
  hosted_in: string;
}

export interface AccountInfo {
  id: string;
  name: string;
  role: 'owner' | 'member';
  plan: string;
  owner_recipient: string;
  signing_key: string;
  created_at: string;
  tokens_used: number;
  tokens_monthly: number | null;
}

export interface SessionInfo {
  id: string;
  device: string;
  created_at: string;
  seen_at: string;
  expires_at: string;
  current: boolean;
}

export interface SignedIn {
  account: AccountInfo;
  session: SessionInfo;
  password_file: string | null;
  files: Record<string, string>;
}

export interface JobInfo {
  id: string;
  state: 'queued' | 'running' | 'done' | 'refused' | 'failed' | 'cancelled';
  retention: 'none' | 'owner' | 'public';
  protection: 'sealed' | 'transit' | 'public';
  cost: { model: string; width_px: number; height_px: number; steps: number; count: number; features: string[] };
  tokens: number;
  created_at: string;
  error_code: string | null;
  assets: string[];
}

export interface AssetInfo {
  id: string;
  kind: string;
  visibility: 'private' | 'shared' | 'public';
  retention: string;
  protection: 'sealed' | 'transit' | 'public';
  size_bytes: number;
  made_on: string;
  seq: number;
  envelope: string;
}

export interface ShareInfo {
  id: string;
  asset: string;
  created_at: string;
  expires_at: string;
  opened: number;
  revoked_at?: string | null;
  person: string | null;
}

export interface PublicationInfo {
  id: string;
  asset: string | null;
  media_type: string;
  width_px: number;
  height_px: number;
  published_at: string;
  words: string;
  name: string | null;
  remix: boolean;
  url: string;
}

export interface KeyInfo {
  id: string;
  name: string;
  scopes: string[];
  created_at: string;
  expires_at: string | null;
  used_at: string | null;
}

export interface PasskeyInfo {
  id: string;
  name: string;
  created_at: string;
}

export interface PersonRow {
  id: string;
  name: string;
  role: string;
  plan: string;
  created_at: string;
  disabled: boolean;
  assets?: number;
}
