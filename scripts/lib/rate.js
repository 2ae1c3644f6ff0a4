// How fast one person may be. Whoever is too fast is told how long to wait, and
// nothing of what they sent happens.
//
// Who has sent how much is known while the room is awake. It sleeps when nobody has
// done anything for as long as a bucket takes to be full again, unless --hibernate-after is
// less than 10 s or --max-awake rooms are awake: then each bucket is full sooner.

const perSecond = 20 // things that a person may send to a room for long: more than anybody types
const atOnce = 200 // what a client says again after it was offline

/** What a person sends to this room, over all their sockets. */
export const pace = bucket(perSecond, atOnce)

/**
 * A bucket for each person: so many at once, and then so many a second. Taking one
 * returns 0, or how many whole seconds to wait if there is none left.
 *
 * @param {number} perSecond
 * @param {number} atOnce
 */
export function bucket(perSecond, atOnce) {
  const each = 1000 / perSecond // ms until one more may be taken
  let full // when each person's bucket is full again, in ms; it is if there is none here
  let room = 1000 // people, before those whose buckets are full are forgotten
  let people = 0

  return (/** @type {string} */ user) => {
    const now = Date.now()
    full ??= Object.create(null)
    let behind = full[user] - now // ms until it is full
    if (!(behind >= 0 && behind <= each * atOnce)) behind = 0 // also if the clock was set back
    if (behind + each > each * atOnce) return Math.ceil((behind + each - each * atOnce) / 1000)
    if (full[user] === undefined && ++people > room) {
      const before = full
      full = Object.create(null)
      people = 1
      for (const name of Object.keys(before)) {
        if (before[name] > now && ++people) full[name] = before[name]
      }
      room = Math.max(1000, 2 * people)
    }
    full[user] = now + behind + each
    return 0
  }
}
