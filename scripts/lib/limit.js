// How much of a list a request asks for.

/**
 * ?limit=20 of a request; undefined if it is no whole number from 1 to max.
 *
 * @param {import('dotdo').Context<any>} c
 * @param {number} otherwise
 * @param {number} max
 */
export function limitOf(c, otherwise, max) {
  const limit = +(c.req.query('limit') ?? otherwise)
  return limit >= 1 && limit <= max && limit % 1 === 0 ? limit : undefined
}

/** The first so many of a list. */
export function firstOf(list, many) {
  const first = []
  for (const each of list) if (first.push(each) === many) break
  return first
}
