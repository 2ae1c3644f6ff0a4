// The page begins here: who it is, and then the chat.

import { Chat } from './chat.ts'
import { identify, remember } from './identity.ts'
import { askName, askToken } from './join.ts'
import { placeOf } from './place.ts'
import { Refused, Server } from './server.ts'

async function begin(): Promise<void> {
  const known = identify()
  if (known) return new Chat(known).begin()
  const asked = askName()
  void new Server({ user: 'guest' }).ask('GET', '/rooms').catch((error: unknown) => {
    if (error instanceof Refused && error.status === 401) askToken('You need to sign in for this chat.')
  })
  const user = await asked
  remember(user)
  new Chat({ user }).begin()
}

// A link with a token is a new beginning, and the browser loads nothing for one to the page
// that is open.
addEventListener('hashchange', (event) => {
  if (placeOf(location.hash).token === undefined) return
  event.stopImmediatePropagation()
  location.reload()
})

void begin()
