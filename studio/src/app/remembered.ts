/**
 * What this browser must remember to notice a lie: the fleet key it saw first, and how far each library had come.
 * Both are public numbers; neither says anything about a picture.
 */
const FLEET = 'safelight-fleet-key';
const SEEN = 'safelight-seen';

const read = (key: string): string | null => {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
};

const write = (key: string, value: string): void => {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Without storage the check lasts as long as the page.
  }
};

let fleet = read(FLEET);

/** The pinned fleet key; the first one seen is pinned. Null if `offered` is another one. */
export function pinFleetKey(offered: string): string | null {
  if (fleet === null) {
    fleet = offered;
    write(FLEET, offered);
  }
  return fleet === offered ? fleet : null;
}

const HERE = 'safelight-signed-in';

/** Whether somebody was signed in here last: a guest's page then need not ask. Says not who. */
export const wasSignedIn = (): boolean => read(HERE) === 'yes';
export const rememberSignedIn = (yes: boolean): void => write(HERE, yes ? 'yes' : 'no');

export interface Seen {
  seq: number;
  digest: string;
}

const all = (): Record<string, Seen> => {
  try {
    return JSON.parse(read(SEEN) ?? '{}') as Record<string, Seen>;
  } catch {
    return {};
  }
};

export const seenHead = (account: string): Seen => all()[account] ?? { seq: 0, digest: '' };
export const rememberHead = (account: string, seen: Seen): void => write(SEEN, JSON.stringify({ ...all(), [account]: seen }));
export function forgetHead(account: string): void {
  const { [account]: _, ...rest } = all();
  write(SEEN, JSON.stringify(rest));
}
