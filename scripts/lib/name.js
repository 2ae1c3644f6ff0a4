// What people and rooms may be called: one rule, so that a name fits into an
// address (/ws/general), a tag (user:ann) and a mention (@ann) alike.

export const nameRule = '1 to 64 letters, digits, _ . or -'

/**
 * @param {unknown} name
 * @returns {name is string}
 */
export const isName = (name) => typeof name === 'string' && /^[A-Za-z0-9_.-]{1,64}$/.test(name)
