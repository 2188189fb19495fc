// Package media reads and converts images, recordings and documents of a request:
// data URLs, MIME types, audio formats, and what to do about content a target does
// not take. Payloads are moved as they are, body tokens included; nothing is fetched.
package media
