/** Pictures being made, and made, on this page. Off the record they live here only, and are gone with the page. */
import { ApiError } from '$api/http';
import * as api from '$api/routes';
import { vault } from '$vault/client';
import { canonical, fromBase64 } from '$vault/canonical';
import { seedsOf } from '$vault/recipe';
import type { Bytes, MediaType, Recipe, Retention } from '$vault/types';
import type { HeldState } from '$ui/state';
import { words } from '$words';
import { library } from './library.svelte';
import { hide, show, thumbnail } from './pixels';
import { say } from './say';
import { server } from './server.svelte';
import { session } from './session.svelte';

/** Shared is a state that a picture gets later; nothing is made shared. */
const RETENTION: Record<HeldState, Retention> = { 'off-record': 'none', private: 'owner', shared: 'owner', public: 'public' };

export type RunState = 'sealing' | 'queued' | 'running' | 'done' | 'refused' | 'failed' | 'cancelled';

/** One picture of a run. */
export class Shot {
  step = $state(0);
  steps = $state(0);
  preview = $state<string | null>(null);
  picture = $state<string | null>(null);
  /** The asset it is kept as, if it is. */
  asset = $state<string | null>(null);
  keeping = $state(false);
  bytes: Bytes | null = null;
  mediaType: MediaType = 'image/png';

  constructor(readonly seed: number) {}

  get progress(): number {
    if (this.picture) return 1;
    return this.steps ? this.step / this.steps : 0;
  }

  showPreview(bytes: Bytes, mediaType: string): void {
    const before = this.preview;
    this.preview = show(bytes, mediaType);
    if (before) setTimeout(() => hide(before), 1000);
  }

  showPicture(bytes: Bytes, mediaType: string): void {
    this.bytes = bytes;
    this.mediaType = mediaType as MediaType;
    this.picture = show(bytes, mediaType);
  }

  drop(): void {
    hide(this.preview);
    hide(this.picture);
    this.preview = null;
    this.picture = null;
    this.bytes = null;
  }
}

/** One press of Generate. */
export class Run {
  state = $state<RunState>('sealing');
  place = $state(0);
  secondsLeft = $state<number | null>(null);
  problem = $state<string | null>(null);
  note = $state<string | null>(null);
  shots = $state<Shot[]>([]);
  protection = $state<'sealed' | 'transit' | 'public'>('sealed');
  job: string | null = null;
  ticket: string | null = null;
  handle: string | null = null;
  device = '';
  seconds = 0;
  readonly stop = new AbortController();

  constructor(
    readonly key: number,
    readonly recipe: Recipe,
    readonly held: HeldState,
    readonly inputs: Bytes[],
    /** Sent before this page was loaded: its words are only known once it is done. */
    readonly earlier = false,
  ) {
    this.shots = seedsOf(recipe).map((seed) => new Shot(seed));
  }

  get busy(): boolean {
    return this.state === 'sealing' || this.state === 'queued' || this.state === 'running';
  }
}

interface Progress {
  index: number;
  step: number;
  steps: number;
  seconds_left: number | null;
}

class Making {
  runs = $state<Run[]>([]);
  /** Seconds per step and megapixel, as seen on this page: for the time shown before pressing. */
  pace = $state<number | null>(null);
  #next = 1;

  constructor() {
    session.onLock(() => this.clear());
  }

  get busy(): boolean {
    return this.runs.some((run) => run.busy);
  }

  /** Pictures here that would be lost with the page. */
  get unkept(): boolean {
    return this.runs.some((run) => run.held === 'off-record' && (run.busy || run.shots.some((shot) => shot.picture && !shot.asset)));
  }

  start(recipe: Recipe, held: HeldState, inputs: Bytes[], previews: boolean): Run {
    const run = new Run(this.#next++, recipe, held, inputs);
    this.runs = [run, ...this.runs];
    const kept = this.runs[0] ?? run;
    void this.#make(kept, previews, crypto.randomUUID(), 2);
    return kept;
  }

  async #make(run: Run, previews: boolean, idempotencyKey: string, triesLeft: number): Promise<void> {
    try {
      run.state = 'sealing';
      const { notes, fleetKey } = await server.darkrooms();
      const retention = RETENTION[run.held];
      const job = await vault.seal({ recipe: run.recipe, inputs: run.inputs, retention, format: 'image/png', previews, notes, fleetKey });
      run.handle = job.handle;
      if (run.stop.signal.aborted) return;
      const taken = await api.createJob({
        sealed: job.sealed,
        cost: canonical(job.cost),
        retention,
        assets: job.assets,
        idempotencyKey,
      });
      run.job = taken.job.id;
      run.ticket = taken.ticket ?? null;
      run.protection = taken.protection as Run['protection'];
      run.state = 'queued';
      if (run.stop.signal.aborted) return void api.cancelJob(run.job, run.ticket).catch(() => undefined);
      const lost = await this.#follow(run);
      if (lost && triesLeft > 0) {
        run.note = words.create.keyLost;
        return await this.#make(run, previews, crypto.randomUUID(), triesLeft - 1);
      }
    } catch (error) {
      if (run.stop.signal.aborted) return;
      run.state = 'failed';
      run.problem = say(error);
    } finally {
      if (!run.busy && run.handle) void vault.forget(run.handle).catch(() => undefined);
    }
  }

  /** Follows a job to its end. True if the darkroom's key was lost and it must be sealed again. */
  async #follow(run: Run): Promise<boolean> {
    if (!run.job || !run.handle) return false;
    for await (const { type, data } of api.jobEvents(run.job, run.ticket, run.stop.signal)) {
      const d = data as Record<string, unknown>;
      if (type === 'queued') {
        run.state = 'queued';
        run.place = Number(d.place ?? 0);
      } else if (type === 'running') run.state = 'running';
      else if (type === 'progress') this.#progress(run, d as unknown as Progress);
      else if (type === 'preview') await this.#preview(run, d);
      else if (type === 'done') {
        await this.#done(run, d);
        this.#measure(run, run.seconds);
      } else if (type === 'refused') await this.#refused(run, d);
      else if (type === 'cancelled') run.state = 'cancelled';
      else if (type === 'failed') {
        if (d.code === 'darkroom-key-lost') return true;
        run.state = 'failed';
        run.problem = [words.create.failed, typeof d.hint === 'string' ? sentence(d.hint) : ''].filter(Boolean).join(' ');
      }
    }
    return false;
  }

  #progress(run: Run, { index, step, steps, seconds_left }: Progress): void {
    run.state = 'running';
    run.note = null;
    run.secondsLeft = seconds_left ?? null;
    run.shots.forEach((shot, i) => {
      if (i < index) shot.step = shot.steps = steps;
      else if (i === index) [shot.step, shot.steps] = [step, steps];
      else shot.steps = steps;
    });
  }

  async #preview(run: Run, data: Record<string, unknown>): Promise<void> {
    try {
      const { bytes, mediaType } = await vault.openPreview(run.handle ?? '', fromBase64(String(data.sealed)));
      const index = typeof data.index === 'number' ? data.index : run.shots.findIndex((shot) => shot.step < shot.steps || !shot.steps);
      run.shots[Math.max(0, index)]?.showPreview(bytes, mediaType);
    } catch {
      // A preview that does not open is not shown; the picture itself is checked on its own.
    }
  }

  async #done(run: Run, data: Record<string, unknown>): Promise<void> {
    const { reply, pictures } = await vault.openReply(run.handle ?? '', fromBase64(String(data.reply)));
    run.seconds = reply.seconds;
    run.device = reply.device;
    await Promise.all(
      run.shots.map(async (shot, i) => {
        const described = reply.pictures[i];
        if (!described) return;
        const carried = pictures[i];
        if (described.asset) {
          shot.asset = described.asset;
          const opened = await library.adopt(described.asset);
          shot.showPicture(opened.bytes, opened.manifest.media_type);
        } else if (carried) shot.showPicture(carried, described.media_type);
      }),
    );
    run.state = 'done';
    run.secondsLeft = null;
    if (run.held === 'public') await this.#publishAll(run);
  }

  /** The darkroom hands over the public copies by itself, also with this page closed; a copy that did not arrive is made here. */
  async #publishAll(run: Run): Promise<void> {
    const assets = run.shots.flatMap(({ asset }) => asset ?? []);
    await library.hearOfPublic(assets).catch(() => undefined);
    for (const shot of run.shots) {
      if (!shot.asset || library.publicationOf(shot.asset)) continue;
      try {
        await library.publish(shot.asset, { caption: '', showName: false, remix: false });
      } catch (error) {
        run.problem = say(error);
      }
    }
  }

  async #refused(run: Run, data: Record<string, unknown>): Promise<void> {
    run.state = 'refused';
    run.problem = words.create.refused;
    try {
      const { reply } = await vault.openReply(run.handle ?? '', fromBase64(String(data.reply)));
      if (reply.category) run.problem += ` ${words.create.refusedCategory(reply.category)}`;
    } catch {
      // The refusal stands without its category.
    }
  }

  #measure(run: Run, seconds: number): void {
    const { width_px, height_px, steps, count } = run.recipe;
    this.pace = seconds / ((width_px * height_px * steps * count) / 1e6);
  }

  /** Seconds that a recipe would take, judged by the last one; null before the first. */
  guess(recipe: Pick<Recipe, 'width_px' | 'height_px' | 'steps' | 'count'>): number | null {
    if (this.pace === null) return null;
    return this.pace * ((recipe.width_px * recipe.height_px * recipe.steps * recipe.count) / 1e6);
  }

  cancel(run: Run): void {
    run.stop.abort();
    run.state = 'cancelled';
    if (run.job) void api.cancelJob(run.job, run.ticket).catch(() => undefined);
  }

  /** Seals an off-the-record picture into the vault. */
  async keep(run: Run, shot: Shot): Promise<void> {
    if (!shot.bytes || shot.asset || shot.keeping) return;
    shot.keeping = true;
    try {
      const index = run.shots.indexOf(shot);
      shot.asset = await library.keep({
        recipe: { ...run.recipe, seed: seedsOf(run.recipe)[index] ?? run.recipe.seed, count: 1 },
        bytes: shot.bytes,
        thumb: await thumbnail(shot.bytes, shot.mediaType),
        mediaType: shot.mediaType,
        seconds: run.seconds,
        device: run.device,
      });
    } finally {
      shot.keeping = false;
    }
  }

  /** Jobs of this account that were sent before the page was reloaded and are not done yet. */
  async takeUp(): Promise<void> {
    const jobs = (await api.listJobs()).filter((job) => job.state === 'queued' || job.state === 'running');
    const known = new Set(this.runs.map((run) => run.job));
    for (const job of jobs) {
      if (known.has(job.id) || job.retention === 'none' || job.protection !== 'sealed') continue;
      const { notes, fleetKey } = await server.darkrooms();
      const { model, width_px, height_px, steps, count } = job.cost;
      const recipe: Recipe = {
        v: 1,
        task: 'text-to-image',
        prompt: '',
        negative_prompt: '',
        model,
        sampler: 'default',
        steps,
        guidance: 0,
        seed: 0,
        width_px,
        height_px,
        count,
        init_image: null,
        mask_image: null,
        strength: null,
        adapters: [],
        controls: [],
        transparent: false,
      };
      const run = new Run(this.#next++, recipe, job.retention === 'public' ? 'public' : 'private', [], true);
      run.job = job.id;
      run.state = job.state === 'running' ? 'running' : 'queued';
      this.runs = [run, ...this.runs];
      const kept = this.runs[0] ?? run;
      kept.handle = await vault.reopen(notes, fleetKey);
      void this.#follow(kept).catch((error: unknown) => {
        kept.state = 'failed';
        kept.problem = error instanceof ApiError ? say(error) : words.create.failed;
      });
    }
  }

  remove(run: Run): void {
    if (run.busy) this.cancel(run);
    for (const shot of run.shots) shot.drop();
    this.runs = this.runs.filter((other) => other !== run);
  }

  clear(): void {
    for (const run of this.runs) {
      run.stop.abort();
      for (const shot of run.shots) shot.drop();
    }
    this.runs = [];
  }
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

export const making = new Making();
