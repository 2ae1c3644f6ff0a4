// What a client sends to a room.

const maxContent = 4000 // characters of a message: a long one, and no book
const maxId = 64 // characters: any UUID, and whatever else clients count with

/**
 * Reads { type: 'message', content }, which may have an id: see sayOnce in room.js. Whatever
 * else it says of itself (room, author) is not looked at.
 *
 * @param {string | ArrayBuffer} data
 * @returns {{ id?: string, content?: string, error?: string }}
 */
export function readMessage(data) {
  if (typeof data !== 'string') return { error: 'a message is text, not binary' }
  let input
  try {
    input = JSON.parse(data)
  } catch {
    return { error: 'a message is JSON' }
  }
  if (input === null || typeof input !== 'object' || Array.isArray(input)) return { error: 'a message is a JSON object' }
  const { type, id, content } = input
  if (id !== undefined && !isId(id)) return { error: `the id of a message is 1 to ${maxId} printable ASCII characters` }
  if (type !== 'message') return { id, error: "the type of a message is 'message'" }
  if (typeof content !== 'string') return { id, error: 'the content of a message is a string' }
  if (content.trim() === '') return { id, error: 'the message is empty' }
  if (content.length > maxContent) return { id, error: `the message is longer than ${maxContent} characters` }
  return { id, content }
}

/** Not a regular expression, as in name.js. */
function isId(id) {
  if (typeof id !== 'string' || id.length < 1 || id.length > maxId) return false
  for (let i = 0; i < id.length; i++) {
    const code = id.charCodeAt(i)
    if (code < 0x20 || code > 0x7e) return false
  }
  return true
}
