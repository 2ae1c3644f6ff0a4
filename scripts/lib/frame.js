// What a client sends: to a room, or from an inbox.

const types = ['message', 'edit', 'delete', 'react', 'typing', 'read']

const maxContent = 4000 // characters of a message: a long one, and no book
const maxId = 64 // characters: any UUID, and whatever else clients count with
const maxEmoji = 32 // UTF-16 units: a family of four with skin tones has fewer

/**
 * A frame: { type } and, by its type, content, message, emoji, on or at. Whatever else it
 * says of itself (room, author) is not looked at.
 *
 * @typedef {{ type?: string, id?: string, content?: string, message?: string, emoji?: string, on?: boolean, at?: string }} Frame
 */

/**
 * Reads a frame, and says what is wrong with it, if anything is. Then its id is all that
 * may be used of it.
 *
 * @param {string | ArrayBuffer} data
 * @param {(frame: any) => string | undefined} wrongWith for frames that a room does not know
 * @returns {{ frame: Frame, error?: string }}
 */
export function readFrame(data, wrongWith = wrongInRoom) {
  if (typeof data !== 'string') return { frame: {}, error: 'a message is text, not binary' }
  let frame
  try {
    frame = JSON.parse(data)
  } catch {
    return { frame: {}, error: 'a message is JSON' }
  }
  if (frame === null || typeof frame !== 'object' || Array.isArray(frame)) return { frame: {}, error: 'a message is a JSON object' }
  if (frame.id !== undefined && !isId(frame.id)) return { frame: {}, error: `the id of a message is 1 to ${maxId} printable ASCII characters` }
  return { frame, error: wrongWith(frame) }
}

function wrongInRoom({ type, content, message, emoji, on, at }) {
  if (!types.includes(type)) return `the type of a message is one of ${types.join(', ')}`
  if (type === 'read' && !isId(at)) return 'at is a position in this room'
  if ((type === 'edit' || type === 'delete' || type === 'react') && !isId(message)) return 'message is the $id of a message in this room'
  if (type === 'message' || type === 'edit') {
    if (typeof content !== 'string') return 'the content of a message is a string'
    if (content.trim() === '') return 'the message is empty'
    if (content.length > maxContent) return `the message is longer than ${maxContent} characters`
  }
  if (type === 'react') {
    if (!isEmoji(emoji)) return `emoji is 1 to ${maxEmoji} characters without spaces`
    if (typeof on !== 'boolean') return 'on is true or false'
  }
}

/** Any short word will do: a list of all emoji is out of date each year. */
function isEmoji(emoji) {
  if (typeof emoji !== 'string' || emoji.length < 1 || emoji.length > maxEmoji || emoji === '__proto__') return false
  for (let i = 0; i < emoji.length; i++) {
    const code = emoji.charCodeAt(i)
    if (code < 0x20 || (code >= 0x7f && code < 0xa0) || emoji[i].trim() === '') return false
    if (code >= 0xd800 && code < 0xe000 && emoji.codePointAt(i++) === code) return false // half of a character
  }
  return true
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
