// What this browser keeps of how somebody uses the page. A frame of another site may be denied it: then nothing is kept.

export function kept(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function keep(name: string, value: string) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // It holds as long as the page is open.
  }
}
