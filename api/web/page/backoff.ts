// How long to wait before trying again.

const first = 500 // ms
const longest = 30_000 // ms: nobody waits longer for a chat that is back

/**
 * The wait after so many attempts that failed, in ms: it doubles, and half of it is
 * chance, so that a crowd whose server was started again does not come back at once.
 */
export function backoff(failed: number, random: () => number = Math.random): number {
  const whole = Math.min(first * 2 ** Math.min(failed, 16), longest)
  return whole / 2 + (whole / 2) * random()
}
