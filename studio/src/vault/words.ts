/** Words to search by. Mirrors `safelight.vault.reply.words_of`. */

/** The words to search by: lower case, letters and digits, each once, in order, at most 64. */
export function wordsOf(prompt: string, limit = 64): string[] {
  const words = prompt.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  return [...new Set(words)].slice(0, limit);
}
