// The only way in which the page makes elements. It takes text, never markup, and
// knows no attribute that could run something.

export type Child = Node | string | null | undefined | false

type Value = string | number | boolean | null | undefined

/**
 * The attributes an element may have. A true one is there without a value; false, null
 * and undefined are not there. Those of ARIA say true and false.
 */
export type Attributes = Readonly<Record<string, Value>>

/** The elements that the page is made of. */
type Tag =
  | 'a' | 'article' | 'bdi' | 'blockquote' | 'button' | 'code' | 'del' | 'div' | 'em' | 'header' | 'li' | 'ol' | 'option' | 'p' | 'pre'
  | 'span' | 'strong' | 'time' | 'ul'

const plain = /^(class|id|role|title|type|for|tabindex|hidden|value|datetime|dir|lang|rel|target|disabled|name|aria-[a-z]+|data-[a-z-]+)$/

export function element<T extends Tag>(tag: T, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[T] {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) setAttribute(made, name, value)
  append(made, children)
  return made
}

/** Sets or removes an attribute. An href leads to a room of this page or to the web. */
export function setAttribute(target: Element, name: string, value: Value): void {
  const allowed = plain.test(name) || (name === 'href' && isAddress(String(value)))
  if (!allowed) throw new TypeError(`no attribute ${name} here`)
  if (name.startsWith('aria-') && typeof value === 'boolean') value = String(value)
  if (value === false || value === null || value === undefined) return target.removeAttribute(name)
  const text = value === true ? '' : String(value)
  if (target.getAttribute(name) !== text) target.setAttribute(name, text)
}

export function append(target: Element, children: readonly Child[]): void {
  for (const child of children) if (child !== null && child !== undefined && child !== false) target.append(child)
}

/** Sets the text of an element, if it is another one: a live region speaks of every change. */
export function setText(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text
}

/** Has a list show just these items, in this order. One that is there already is not moved for those that go or come: that would take the focus from it. */
export function arrange(list: Element, items: readonly Element[]): void {
  for (const item of [...list.children]) if (!items.includes(item)) item.remove()
  items.forEach((item, index) => {
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null)
  })
}

/** Whether a link may lead there. */
export function isAddress(address: string): boolean {
  return address.startsWith('#') || /^https?:\/\//i.test(address)
}

/** An element of index.html. */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  const found = document.getElementById(id)
  if (!found) throw new Error(`the page has no #${id}`)
  return found as E
}
