import './app.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { start } from './lib/i18n.svelte.ts';

// Another replica may have been updated meanwhile, and lack the file that this page wants.
addEventListener('vite:preloadError', (event) => {
  if (sessionStorage.getItem('reloaded')) return;
  sessionStorage.setItem('reloaded', '1');
  event.preventDefault();
  location.reload();
});

await start();
mount(App, { target: document.body });
