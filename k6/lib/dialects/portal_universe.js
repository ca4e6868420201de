// portal-universe: the reference portal speaks its dialect (platform.md 3), so the bodies are the same.
export { cartItem, claims, order, paths } from './portal.js';
