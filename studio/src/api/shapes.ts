/** What the server answers, by the names of docs/reference/openapi.json. */

export interface Problem {
  type: string;
  title: string;
  status: number;
  code: string;
  hint: string;
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
  price_example: unknown;
}
