/** What this server is, which models it has, and whether it answers. */
import { getDarkrooms, getModels, getServer } from '$api/routes';
import type { ModelInfo, ServerInfo } from '$api/shapes';
import { VaultError } from '$vault/errors';
import { words } from '$words';
import { pinFleetKey } from './remembered';

class Server {
  info = $state<ServerInfo | null>(null);
  models = $state<ModelInfo[]>([]);
  unreachable = $state(false);
  loaded = $state(false);
  #loading: Promise<void> | null = null;

  /** Reads what the server says about itself; keeps trying while it does not answer. */
  load(): Promise<void> {
    this.#loading ??= this.#read().finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #read(): Promise<void> {
    try {
      const [info, models] = await Promise.all([getServer(), getModels()]);
      this.info = info;
      this.models = models;
      this.unreachable = false;
      this.loaded = true;
    } catch {
      this.unreachable = true;
      setTimeout(() => void this.load(), 4000);
    }
  }

  /** Fresh darkroom notes and the pinned fleet key that must have signed them. */
  async darkrooms(): Promise<{ notes: string[]; fleetKey: string }> {
    const { fleet_key, notes } = await getDarkrooms();
    const fleetKey = pinFleetKey(fleet_key);
    if (fleetKey === null) throw new VaultError('bad-key-note', words.errors.fleetKey);
    return { notes, fleetKey };
  }
}

export const server = new Server();
