import svelte from 'eslint-plugin-svelte';
import tseslint from 'typescript-eslint';
import svelteConfig from './svelte.config.js';

const features = ['create', 'creations', 'details', 'explore', 'account', 'trust', 'share', 'admin', 'components'];

/** What the page may not import: keys are the vault's business. */
const pageMay = [
  { group: ['age-encryption', '@serenity-kit/*', '@noble/*', '@scure/*', 'hash-wasm'], message: 'only src/vault touches keys' },
  { regex: '^\\$vault/(?!client$|canonical$|errors$|recipe$|types$|calls$)', message: 'the page speaks to the vault through $vault/client' },
];

/** The four folders: api fetches, vault touches keys, features know no sibling, ui knows nothing. */
const walls = [
  {
    files: ['src/**/*.{ts,svelte}'],
    ignores: ['src/api/**'],
    rules: {
      'no-restricted-globals': [
        'error',
        { name: 'fetch', message: 'only src/api fetches' },
        { name: 'XMLHttpRequest', message: 'only src/api fetches' },
        { name: 'EventSource', message: 'only src/api fetches' },
        { name: 'WebSocket', message: 'only src/api fetches' },
      ],
    },
  },
  {
    files: ['src/**/*.{ts,svelte}'],
    ignores: ['src/vault/**'],
    rules: {
      'no-restricted-imports': ['error', { patterns: pageMay }],
    },
  },
  {
    files: ['src/vault/**/*.ts'],
    rules: { 'no-restricted-imports': ['error', { patterns: [{ group: ['$api/*', '$app/*', '$ui/*', '$words'] }] }] },
  },
  {
    files: ['src/ui/**/*.{ts,svelte}'],
    rules: { 'no-restricted-imports': ['error', { patterns: [{ group: ['$api/*', '$app/*', '$vault/*'] }] }] },
  },
  ...features.map((name) => ({
    files: [`src/features/${name}/**/*.{ts,svelte}`],
    rules: { 'no-restricted-imports': ['error', { patterns: [...pageMay, { regex: `features/(?!${name}/)|^\\.\\./`, message: 'no feature imports a sibling' }] }] },
  })),
];

export default tseslint.config(
  { ignores: ['node_modules', 'dist', 'public', 'src/api/schema.d.ts'] },
  ...tseslint.configs.recommended,
  ...svelte.configs.recommended,
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: tseslint.parser, svelteConfig, extraFileExtensions: ['.svelte'] } },
  },
  {
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'no-console': 'error',
      'svelte/no-at-html-tags': 'error',
      // The router is our own; links are plain paths.
      'svelte/no-navigation-without-resolve': 'off',
      // A plain Map or Set is meant where it stands: 10,000 signals are slow.
      'svelte/prefer-svelte-reactivity': 'off',
    },
  },
  ...walls,
);
