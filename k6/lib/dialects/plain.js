// A platform without code of its own: where an answer names the thing that was asked for stands in its profile.
import { plan } from '../config.js';

export const paths = {
  product: plan.responses.products.detail_id,
  post: plan.responses.posts.detail_id,
};
