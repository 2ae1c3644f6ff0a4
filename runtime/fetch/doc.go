// Package fetch makes the HTTP requests of scripts: one request, the redirects
// that follow it, and a response that is read to its end within bounds.
//
// # What is dialled
//
// A script names a host, and whoever owns that name decides where it leads. So it
// is the address that is looked at, and only at the moment it is dialled: after
// the name was looked up, at every redirect, and whenever a connection is made
// anew. Unless Options.AllowPrivate says otherwise it must be one of the public
// Internet; see public. Proxy variables of the environment are not looked at:
// what a proxy dials can't be seen from here.
//
// # Redirects
//
// They are followed as the Fetch standard has it. What a script sent for one
// origin alone (Authorization, Cookie) is not sent to another, and a Referer is
// never added. Cookies are not kept.
//
// # Goroutines
//
// Connections that wait to be used again have two each, for a while. Close ends
// them.
package fetch
