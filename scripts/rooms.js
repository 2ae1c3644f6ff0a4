// The list of rooms. A route without a parameter, and whatever belongs to all,
// goes to one object: App/default.

import { $, DO } from 'dotdo'

const pageSize = 1000 // rooms; ?after= the last name reads on

export default DO.extend({
  $type: 'App',

  onRequest() {
    this.app.get('/rooms', async (c) => {
      const after = c.req.query('after')
      const rooms = await this.things.list({
        $type: 'Room',
        where: after ? { $id: { $gt: after } } : {}, // any name: nobody need have been there
        orderBy: { $id: 'asc' },
        limit: pageSize,
      })
      return c.json(rooms.map(({ $id, created }) => ({ room: $id, created })))
    })
  },

  /**
   * Notes a room. It may be told of the same one twice, or of what was before: of two, the
   * one of the higher version is right. A private one is noted, and not listed.
   */
  async note({ $id, name, $createdAt, $version, private: isPrivate }) {
    const noted = await this.things.get($id)
    if (noted?.version >= $version) return
    if (noted) await this.things.delete($id)
    this.things.create({ $type: isPrivate ? 'PrivateRoom' : 'Room', $id, name, created: $createdAt, version: $version })
  },
})

$.on.Room.created((event) => {
  $.App('default').note(event.data)
})

$.on.Room.changed((event) => {
  $.App('default').note(event.data)
})
