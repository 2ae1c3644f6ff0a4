// What a profile may hold.

const maxLength = { name: 80, about: 500 } // characters of its fields

/** Thrown for a profile that cannot be; the message is meant for whoever sent it. */
export class ProfileError extends TypeError {}

/** Takes what a profile may hold, and nothing else. */
export function checkProfile(profile) {
  if (profile === null || typeof profile !== 'object' || Array.isArray(profile)) throw new ProfileError('a profile is an object')
  const checked = {}
  for (const [field, value] of Object.entries(profile)) {
    if (!Object.hasOwn(maxLength, field)) throw new ProfileError(`a profile has no ${JSON.stringify(field)}`)
    if (typeof value !== 'string') throw new ProfileError(`${field} is a string`)
    if (value.length > maxLength[field]) throw new ProfileError(`${field} is longer than ${maxLength[field]} characters`)
    checked[field] = value.trim()
  }
  if (checked.name === '') throw new ProfileError('name is empty')
  return checked
}
