// Tells people that they were mentioned: "@ann, have you seen this?" And when such a message
// is edited or deleted, those whom it mentions, or did before: what an inbox says is what
// the message says.
//
// An event handler runs after the message is stored and shown, so it holds
// nobody up. Its calls are not awaited: each is stored when the handler ends,
// and reaches its person even if the program stops in between.
//
// Events come late when something failed, and one may overtake another. So the text is that
// of the message as it is now, whichever event it was, and an inbox goes by the version.

import { $, extractMentions } from 'dotdo'

const maxMentions = 20 // people that one message can reach: enough for a team, too few for spam

$.on.Message.sent(({ data: message }) => {
  const people = others(extractMentions(message.content), message.author)
  if (people.length > 0) return tell(message, people)
})

$.on.Message.changed(({ data: { message, at, before } }) => {
  const people = [...new Set([extractMentions(message.content), before].flatMap((names) => others(names, message.author)))]
  if (people.length > 0) return tell(message, people, at)
})

/** The people that a message can reach, of the names in it. */
function others(names, author) {
  return names.filter((user) => user !== author).slice(0, maxMentions)
}

/** Tells people who were mentioned at some time what a message says now: nothing, if it mentions them no more. */
async function tell({ $id, room, author }, people, at) {
  const { content, version, admitted } = await $.Room(room).heard($id, people)
  const mentioned = others(extractMentions(content), author)
  for (const user of people) {
    const mention = { type: 'mention', room, from: author, message: $id, at }
    if (mentioned.includes(user) && admitted.includes(user)) $.User(user).mentioned({ ...mention, content }, version)
    else if (version > 1) $.User(user).mentioned(mention, version) // before that, nobody was told
  }
}
