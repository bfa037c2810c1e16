declare module 'passport06' {
  export { default } from 'passport';
}
