// Mints a token for trying things out: AUTH_SECRET=… node examples/token.mjs ROLE SUBJECT
// In production your own backend does this, for the user who is logged in there.
import { SignJWT } from 'jose';

const [role = 'customer', subject = 'ann'] = process.argv.slice(2);
const token = await new SignJWT({ role })
  .setProtectedHeader({ alg: 'HS256' })
  .setSubject(subject)
  .setExpirationTime('1h')
  .sign(new TextEncoder().encode(process.env.AUTH_SECRET));
console.log(token);
