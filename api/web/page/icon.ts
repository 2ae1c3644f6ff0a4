// The drawings on buttons.

import { setAttribute } from './element.ts'

const drawings = {
  lock: 'M5 9h10v7.500H5zM7 9V6.500a3 3 0 0 1 6 0V9',
  react: 'M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM7.500 8.300v.4M12.500 8.300v.4M7 11.800c.7 1.100 1.700 1.700 3 1.700s2.300-.6 3-1.700',
  edit: 'M4 16l.7-3.300 8.600-8.600a1.500 1.500 0 0 1 2.100 0l.5.5a1.500 1.500 0 0 1 0 2.100L7.300 15.300zM12 5.500l2.500 2.500',
  delete: 'M4 5.500h12M8 5.500V4a1 1 0 0 1 1-1h2a1 1 0 0 1 1 1v1.500M5.500 5.500l.7 10a1.500 1.500 0 0 0 1.500 1.400h4.600a1.500 1.500 0 0 0 1.500-1.400l.7-10',
} as const

export type Drawing = keyof typeof drawings

/** The sign before the name of a room: # or, where only members come in, a lock. */
export function showSign(place: Element, isPrivate: boolean): void {
  if ((place.getAttribute('role') === 'img') === isPrivate) return
  setAttribute(place, 'role', isPrivate ? 'img' : null)
  setAttribute(place, 'aria-label', isPrivate ? 'Private' : null)
  setAttribute(place, 'aria-hidden', isPrivate ? null : true)
  place.replaceChildren(isPrivate ? icon('lock') : '#')
}

export function icon(name: Drawing): SVGElement {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path')
  svg.setAttribute('viewBox', '0 0 20 20')
  svg.setAttribute('aria-hidden', 'true')
  path.setAttribute('d', drawings[name])
  svg.append(path)
  return svg
}
