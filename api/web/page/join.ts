// The dialog that asks for a name, or says why nobody can come in without a token.

import { byId, setText } from './element.ts'
import { isName, nameRule } from './protocol.ts'

const dialog = () => byId<HTMLDialogElement>('join')

/** Asks for a name until there is one. */
export function askName(): Promise<string> {
  const form = dialog().querySelector('form')!
  const input = byId<HTMLInputElement>('join-name')
  const error = byId('join-error')
  dialog().oncancel = (event) => event.preventDefault()
  dialog().onclose = () => dialog().showModal() // browsers let nobody be kept in a dialog; there is nothing behind it
  if (!dialog().open) dialog().showModal()
  input.focus()
  return new Promise((joined) => {
    input.oninput = () => {
      setText(error, '')
      input.removeAttribute('aria-invalid')
    }
    form.onsubmit = (event) => {
      event.preventDefault()
      const name = input.value.trim().replace(/\s+/g, '-')
      if (!isName(name)) {
        setText(error, `A name is ${nameRule}.`)
        input.setAttribute('aria-invalid', 'true')
        return input.focus()
      }
      dialog().onclose = null
      dialog().close()
      joined(name)
    }
  })
}

/** Says that somebody has to come with a token. */
export function askToken(message: string): void {
  setText(byId('join-title'), 'Sign in')
  setText(byId('join-text'), `${message} Come back by the link that you were given.`)
  byId('join-fields').hidden = true
  dialog().oncancel = (event) => event.preventDefault()
  dialog().onclose = () => dialog().showModal()
  if (!dialog().open) dialog().showModal()
}
