// Addresses of the page: /ui/inbox/MAILBOX/MESSAGE. They name mailboxes and messages, and never a caller.

export interface Place {
  mailbox?: string;
  message?: string;
}

function parse(path: string): Place {
  const [, , screen, mailbox, message] = path.split('/').map(decodeURIComponent);
  return screen === 'inbox' ? { mailbox: mailbox || undefined, message: message || undefined } : {};
}

export const place: { now: Place } = $state({ now: parse(location.pathname) });

/** Shows a place; `replace` where going back shouldn't lead to the one before. */
export function go({ mailbox, message }: Place, replace = false) {
  const parts = [mailbox, message].filter((part) => part !== undefined).map(encodeURIComponent);
  const path = ['/ui/inbox', ...parts].join('/');
  place.now = { mailbox, message };
  if (path === location.pathname) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', path);
}

addEventListener('popstate', () => (place.now = parse(location.pathname)));
