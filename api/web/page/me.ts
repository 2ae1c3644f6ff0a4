// Who this person is, below the rooms, and the button to be somebody else.

import { avatar } from './avatar.ts'
import { byId, setText } from './element.ts'
import { forget } from './identity.ts'
import type { Identity } from './server.ts'

/** leaving is called when this person goes. */
export function showMe({ user, token }: Identity, leaving: () => void): void {
  setText(byId('me-name'), user)
  byId('me').prepend(avatar(user))
  const change = byId('me-change')
  setText(change, token === undefined ? 'Change name' : 'Sign out')
  change.onclick = () => {
    leaving()
    forget()
    location.reload()
  }
}
