import { kindOf } from '../lib/box.svelte.ts';

/** The problem that a change ended with. If somebody else has changed the settings meanwhile, these are loaded first, so that nobody undoes them unseen. */
export async function refused(error: unknown, load: () => Promise<void>): Promise<string> {
  const kind = kindOf(error);
  if (kind !== 'changed') return kind;
  await load();
  return 'settings-changed';
}
