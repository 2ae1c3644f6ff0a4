// What people and rooms may be called: one rule, so that a name fits into an
// address (/ws/general), a tag (user:ann) and a mention (@ann) alike.

const characters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-'
const maxName = 64

export const nameRule = '1 to 64 letters, digits, _ . or -, but neither . nor ..'

/**
 * Neither a regular expression nor an iterator: the first of its kind costs an
 * awake room some 10 KB.
 *
 * @param {unknown} name
 * @returns {name is string}
 */
export function isName(name) {
  if (typeof name !== 'string' || name.length < 1 || name.length > maxName) return false
  if (name === '.' || name === '..') return false // in an address they are the folder and that above it
  for (let i = 0; i < name.length; i++) if (!characters.includes(name[i])) return false
  return true
}
