/** Doing one thing to many pictures: with progress, a way to stop, and a report of what did not work. */
import { ApiError } from '$api/http';
import { library, type PublishChoice } from '$app/library.svelte';
import { save, suffix } from '$app/pixels';
import { say } from '$app/say';
import { zip, type ZipFile } from '$app/zip';
import { words } from '$words';

export type Verb = 'private' | 'public' | 'download' | 'delete';

export interface Failed {
  id: string;
  why: string;
  /** It was deleted elsewhere: trying again is of no use. */
  gone: boolean;
}

export class Bulk {
  verb = $state<Verb | null>(null);
  done = $state(0);
  all = $state(0);
  failed = $state<Failed[]>([]);
  running = $state(false);
  #stopped = false;

  stop(): void {
    this.#stopped = true;
  }

  /** Done with the report: what is gone leaves the page as well. */
  close(): void {
    for (const { id, gone } of this.failed) if (gone) library.lost(id);
    this.verb = null;
    this.failed = [];
  }

  /** Runs one verb over the pictures, one after the other. True if every one worked. */
  async run(verb: Verb, ids: readonly string[], choice: PublishChoice): Promise<boolean> {
    this.verb = verb;
    this.done = 0;
    this.all = ids.length;
    this.failed = [];
    this.running = true;
    this.#stopped = false;
    const files: ZipFile[] = [];
    const worked: string[] = [];
    for (const id of ids) {
      if (this.#stopped) break;
      try {
        await this.#one(verb, id, choice, files);
        worked.push(id);
      } catch (error) {
        const gone = error instanceof ApiError && error.status === 404;
        this.failed = [...this.failed, { id, why: gone ? words.creations.goneElsewhere : say(error), gone }];
      }
      this.done += 1;
    }
    await this.#finish(verb, worked, files);
    this.running = false;
    const clean = this.failed.length === 0;
    if (clean) this.verb = null;
    return clean;
  }

  async #one(verb: Verb, id: string, choice: PublishChoice, files: ZipFile[]): Promise<void> {
    if (verb === 'delete') return library.delete(id);
    if (verb === 'private') return library.makePrivate(id);
    if (verb === 'public') {
      if (!library.publicationOf(id)) await library.publish(id, choice);
      return;
    }
    const { manifest, bytes } = await library.openFull(id);
    files.push({ name: `safelight-${manifest.made_on}-${String(files.length + 1).padStart(4, '0')}${suffix(manifest.media_type)}`, data: bytes });
  }

  async #finish(verb: Verb, worked: string[], files: ZipFile[]): Promise<void> {
    if (verb === 'delete') await library.dropFromIndex(worked).catch(() => undefined);
    const [only] = files;
    if (files.length === 1 && only) save(only.data, 'application/octet-stream', only.name);
    else if (files.length > 1) save(new Blob(zip(files)), 'application/zip', 'safelight-pictures.zip');
  }
}
