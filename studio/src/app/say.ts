/** Errors in plain words: what happened, and what to do. */
import { ApiError } from '$api/http';
import { VaultError } from '$vault/errors';
import { words } from '$words';

const sentence = (text: string): string => {
  const trimmed = text.trim();
  if (!trimmed) return '';
  const capital = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
};

export function say(error: unknown): string {
  if (error instanceof ApiError) {
    if (error.code === 'no-connection') return words.errors.network;
    return [sentence(error.message), sentence(error.hint)].filter(Boolean).join(' ');
  }
  if (error instanceof VaultError) {
    if (error.code === 'rollback') return words.errors.rollback;
    return sentence(error.message);
  }
  return words.errors.unknown;
}
