/** The four ways a picture can be held. The same signs, colours and words everywhere. */
export type HeldState = 'off-record' | 'private' | 'shared' | 'public';

export const HELD_STATES: readonly HeldState[] = ['off-record', 'private', 'shared', 'public'];
