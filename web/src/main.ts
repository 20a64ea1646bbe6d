import './app.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { start } from './lib/i18n.svelte.ts';

// Another replica may have been updated meanwhile, and lack the file that this page wants.
addEventListener('vite:preloadError', (event) => {
  try {
    if (sessionStorage.getItem('reloaded')) return;
    sessionStorage.setItem('reloaded', '1');
  } catch {
    // A frame that may keep nothing can't know whether it has been loaded anew.
    return;
  }
  event.preventDefault();
  location.reload();
});

await start();
mount(App, { target: document.body });
