// What a room answers to one person, or tells some.

export const open = 1 // WebSocket.OPEN, which would be the only thing here that names WebSocket

/**
 * Says that what a frame asked for is done, if it has an id.
 *
 * @param {WebSocket} ws
 * @param {import('./frame.js').Frame} frame
 * @param {object | null} [message] that it is about
 */
export function ack(ws, { id }, message) {
  if (id !== undefined) ws.send(JSON.stringify({ type: 'ack', id, message }))
}

/**
 * Says that nothing of a frame has happened, and why.
 *
 * @param {WebSocket} ws
 * @param {import('./frame.js').Frame} frame
 * @param {string} error
 * @param {number} [retryAfter] seconds
 */
export function refuse(ws, { id }, error, retryAfter) {
  ws.send(JSON.stringify({ type: 'error', id, error, retryAfter }))
}

/**
 * Sends a frame to sockets, but not to some of them; one that is closed is passed over.
 *
 * @param {WebSocket[]} sockets
 * @param {WebSocket[]} but
 * @param {object} frame
 */
export function tell(sockets, but, frame) {
  const text = JSON.stringify(frame)
  for (const ws of sockets) if (ws.readyState === open && !but.includes(ws)) ws.send(text)
}
