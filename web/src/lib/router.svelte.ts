// Addresses of the page: /ui/inbox/MAILBOX/MESSAGE and /ui/settings/MAILBOX, in frames below /ui/embed. They name mailboxes and
// messages, and never a caller.

const FRAMED = location.pathname.startsWith('/ui/embed/');
const TOP = FRAMED ? '/ui/embed' : '/ui';

export interface Place {
  screen?: 'inbox' | 'settings';
  mailbox?: string;
  message?: string;
}

function parse(path: string): Place {
  const [, screen, mailbox, message] = path.slice(TOP.length).split('/').map(decodeURIComponent);
  if (screen === 'settings') return { screen, mailbox: mailbox || undefined };
  return screen === 'inbox' ? { mailbox: mailbox || undefined, message: message || undefined } : {};
}

export const place: { now: Place } = $state({ now: parse(location.pathname) });

/** Shows a place; `replace` where going back shouldn't lead to the one before. */
export function go({ screen, mailbox, message }: Place, replace = false) {
  const parts = [mailbox, message].filter((part) => part !== undefined).map(encodeURIComponent);
  const path = [`${TOP}/${screen ?? 'inbox'}`, ...parts].join('/');
  place.now = { screen, mailbox, message };
  if (path === location.pathname) return;
  // Going back is the desktop's, whose frame this is.
  history[replace || FRAMED ? 'replaceState' : 'pushState'](null, '', path);
}

addEventListener('popstate', () => (place.now = parse(location.pathname)));
