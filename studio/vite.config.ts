import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const server = process.env.SAFELIGHT_SERVER ?? 'http://127.0.0.1:7788';

export default defineConfig({
  plugins: [svelte()],
  resolve: {
    alias: {
      $api: at('./src/api'),
      $vault: at('./src/vault'),
      $app: at('./src/app'),
      $ui: at('./src/ui'),
      $words: at('./src/words.ts'),
    },
  },
  worker: { format: 'es' },
  build: {
    outDir: at('../src/safelight/server/static'),
    emptyOutDir: true,
    assetsInlineLimit: 0, // data: URLs would need a wider Content-Security-Policy
    target: 'es2022',
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  test: { include: ['tests/**/*.test.ts'], environment: 'node', testTimeout: 20_000 },
  server: {
    host: '127.0.0.1',
    proxy: { '/api': server, '/healthz': server },
  },
});
