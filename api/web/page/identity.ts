// Who this person is, from the address, from the last time, or by asking.

import { ofBrowser, ofTab } from './kept.ts'
import { placeOf, userOf } from './place.ts'
import { isName } from './protocol.ts'
import type { Identity } from './server.ts'

const tokenKey = 'token' // of the tab, and goes with it
const nameKey = 'name'

/** Who it is, if that is known. A token is taken out of the address, so that nobody copies it with the link. */
export function identify(): Identity | undefined {
  const url = new URL(location.href)
  const { room, token = url.searchParams.get('token') ?? undefined } = placeOf(url.hash)
  const asked = url.searchParams.get('user')
  if (token !== undefined) ofTab.setItem(tokenKey, token)
  if (token !== undefined || asked !== null) {
    url.searchParams.delete('user')
    url.searchParams.delete('token')
    if (token !== undefined) url.hash = `#${room}`
    history.replaceState(null, '', url)
  }
  const kept = ofTab.getItem(tokenKey)
  const user = kept === null ? undefined : userOf(kept)
  if (kept !== null && user !== undefined) return { user, token: kept }
  if (asked !== null && isName(asked)) {
    ofTab.setItem(nameKey, asked) // of this tab alone: another may be somebody else
    return { user: asked }
  }
  const name = ofTab.getItem(nameKey) ?? ofBrowser.getItem(nameKey)
  return name !== null && isName(name) ? { user: name } : undefined
}

/** Keeps a name for the next time. */
export function remember(name: string): void {
  ofBrowser.setItem(nameKey, name)
  ofTab.setItem(nameKey, name)
}

/** Forgets who it is. */
export function forget(): void {
  ofTab.removeItem(tokenKey)
  ofTab.removeItem(nameKey)
  ofBrowser.removeItem(nameKey)
}
