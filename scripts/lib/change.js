// What can happen to a message after it was said: its author edits or deletes it, and
// anybody reacts to it.

const maxKinds = 20 // emoji at one message
const maxReactions = 200 // in all: a message is sent whole whenever one comes

/**
 * What a frame of somebody does to a message: fields to change, none if it is so already;
 * or an error.
 *
 * @param {import('dotdo').Thing} message
 * @param {string} user
 * @param {import('./frame.js').Frame} frame
 * @returns {{ fields?: { [name: string]: any }, error?: string }}
 */
export function changeOf(message, user, { type, content, emoji, on }) {
  if (type === 'react') return reactionTo(message, user, emoji, on)
  if (message.author !== user) return { error: 'the message is not yours' }
  if (type === 'delete') return message.deleted ? {} : { fields: { content: '', deleted: new Date(), reactions: undefined } }
  if (message.deleted) return { error: 'the message is deleted' }
  return message.content === content ? {} : { fields: { content, edited: new Date() } }
}

function reactionTo(message, user, emoji, on) {
  const { deleted, reactions = {} } = message
  const people = Object.hasOwn(reactions, emoji) ? reactions[emoji] : []
  if (people.includes(user) === on) return {}
  if (on) {
    if (deleted) return { error: 'the message is deleted' }
    if (people.length === 0 && Object.keys(reactions).length >= maxKinds) return { error: `a message has at most ${maxKinds} emoji` }
    if (Object.values(reactions).flat().length >= maxReactions) return { error: `a message has at most ${maxReactions} reactions` }
  }
  const after = { ...reactions, [emoji]: on ? [...people, user] : people.filter((name) => name !== user) }
  if (after[emoji].length === 0) delete after[emoji]
  return { fields: { reactions: Object.keys(after).length > 0 ? after : undefined } }
}
