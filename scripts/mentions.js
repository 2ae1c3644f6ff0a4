// Tells people that they were mentioned: "@ann, have you seen this?"
//
// An event handler runs after the message is stored and shown, so it holds
// nobody up. Its calls are not awaited: each is stored when the handler ends,
// and reaches its person even if the program stops in between.

import { $, extractMentions } from 'dotdo'

const maxMentions = 20 // people that one message can reach: enough for a team, too few for spam

$.on.Message.sent((event) => {
  const { $id, room, author, content } = event.data
  const mentioned = extractMentions(content).filter((user) => user !== author)
  for (const user of mentioned.slice(0, maxMentions)) {
    $.User(user).notify({ type: 'mention', room, from: author, message: $id, content })
  }
})
