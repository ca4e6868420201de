// portal-universe: the reference portal speaks its dialect (platform.md 3), so the bodies are the same.
export { cartItem, order, paths } from './portal.js';
