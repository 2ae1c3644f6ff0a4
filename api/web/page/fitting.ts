// Which names complete a mention that is being typed.

export interface Mark {
  readonly from: number // where the @ is
  readonly typed: string // behind it, up to the cursor
}

/** The mention that is being typed at the cursor, if one is. */
export function markAt(text: string, cursor: number): Mark | undefined {
  const typed = /(?:^|[^\p{L}\p{N}_@.])@([\p{L}\p{N}_.-]{0,64})$/u.exec(text.slice(Math.max(0, cursor - 66), cursor))?.[1]
  return typed === undefined ? undefined : { from: cursor - typed.length - 1, typed }
}

const most = 6 // names at a time

const mentioned = /^[\p{L}\p{N}_]([\p{L}\p{N}_.-]*[\p{L}\p{N}])?$/u // of "@bob." only bob is: a sentence may end there

/**
 * The names that fit what was typed and can be mentioned: those that begin with it, then those
 * that have it, in the order given. None if a whole name was typed: then nothing is in the way of Enter.
 */
export function fitting(names: readonly string[], typed: string): string[] {
  if (names.includes(typed)) return []
  const wanted = typed.toLowerCase()
  const unique = [...new Set(names)].filter((name) => mentioned.test(name))
  const begins = unique.filter((name) => name.toLowerCase().startsWith(wanted))
  const has = unique.filter((name) => !begins.includes(name) && name.toLowerCase().includes(wanted))
  return [...begins, ...has].slice(0, most)
}
