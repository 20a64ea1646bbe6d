// Builds the pages into `dist`, which is checked in: the same sources give the same bytes in any folder.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

export default defineConfig({
  base: '/ui/',
  plugins: [svelte()],
  build: {
    assetsDir: 'a',
    emptyOutDir: true,
    // Nothing in a data: address, which the pages' policy refuses.
    assetsInlineLimit: 0,
    // What of others is in the built files, for the notices of a release.
    license: { fileName: 'licences.json' },
    target: 'es2022',
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rollupOptions: {
      // The element for other pages has a name that stays, and nothing in common with the page.
      input: { index: 'index.html', mwi: 'src/mwi/mwi.ts' },
      output: { entryFileNames: ({ name }) => (name === 'mwi' ? 'mwi.js' : 'a/[name]-[hash].js'), chunkFileNames: 'a/[name]-[hash].js', assetFileNames: 'a/[name]-[hash][extname]' },
    },
  },
  server: {
    // `npm run dev` in front of `voicemail dev`: the page's requests must seem to come from there.
    proxy: Object.fromEntries(['/api', '/ui/session'].map((path) => [path, { target: process.env.VOICEMAIL ?? 'http://localhost:8420', changeOrigin: true }])),
  },
});
