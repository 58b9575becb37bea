"""The labels Pocket is taught, and the plain words people use for them.

`FAVOURED` maps an emojibase label to the words a caption may use for it, the plainest first. A
model this small learns shapes only when the list is short (775 labels gave none in two hours on two
CPU cores; about 170 did), so the list holds concrete things only. `OVERSAMPLED` says which of them
are drawn several times as often, and how often.
"""

from __future__ import annotations

_NAMED = """
red apple: red apple, apple
green apple: green apple
cat face: cat face, cat
dog face: dog face, dog
rocket: rocket, space rocket
house: house, home
deciduous tree: green tree, tree, deciduous tree
evergreen tree: evergreen tree, pine tree, fir tree
palm tree: palm tree
Christmas tree: christmas tree
fox: red fox, fox, fox face
wolf: wolf, grey wolf
raccoon: raccoon
sun: sun
sun with face: sun with a face, smiling sun
crescent moon: crescent moon, moon
full moon: full moon
star: star, yellow star
glowing star: glowing star
red heart: heart, red heart
pink heart: pink heart
orange heart: orange heart
yellow heart: yellow heart
green heart: green heart
blue heart: blue heart
purple heart: purple heart
black heart: black heart
broken heart: broken heart
automobile: car, red car
oncoming automobile: car from the front
sport utility vehicle: suv
taxi: taxi, yellow taxi
bus: bus, school bus
ambulance: ambulance
fire engine: fire engine, fire truck
police car: police car
delivery truck: truck, delivery truck
tractor: tractor
racing car: racing car
motorcycle: motorcycle, motorbike
bicycle: bicycle, bike
locomotive: steam train, locomotive
airplane: airplane, plane
helicopter: helicopter
sailboat: sailboat, boat
ship: ship
flying saucer: flying saucer, ufo
fish: fish
tropical fish: tropical fish
blowfish: blowfish
shark: shark
spouting whale: whale, spouting whale
dolphin: dolphin
octopus: octopus
crab: crab, red crab
lobster: lobster
turtle: turtle
frog: frog, frog face, green frog
snail: snail
butterfly: butterfly
honeybee: bee, honeybee
lady beetle: ladybug, ladybird
spider: spider
bird: bird
penguin: penguin
owl: owl
duck: duck
chicken: chicken
baby chick: baby chick, chick
front-facing baby chick: chick from the front
flamingo: flamingo
parrot: parrot
rabbit face: rabbit face, rabbit, bunny
rabbit: rabbit sitting, whole rabbit
bear: bear, bear face, brown bear
polar bear: polar bear
koala: koala
panda: panda, panda face
lion: lion, lion face
tiger face: tiger face, tiger
horse face: horse face, horse
unicorn: unicorn
zebra: zebra
cow face: cow face, cow
pig face: pig face, pig, pink pig
monkey face: monkey face, monkey
mouse face: mouse face, mouse
hamster: hamster, hamster face
elephant: elephant
giraffe: giraffe
camel: camel
snake: snake
dragon face: dragon face, dragon
T-Rex: t-rex, dinosaur
sauropod: sauropod, long-necked dinosaur
bat: bat
hedgehog: hedgehog
cherry blossom: flower, pink flower, cherry blossom
sunflower: sunflower
tulip: tulip
rose: rose, red rose
hibiscus: hibiscus
blossom: yellow flower, blossom
cactus: cactus
potted plant: potted plant
four leaf clover: four leaf clover, clover
maple leaf: maple leaf
mushroom: mushroom, red mushroom
grapes: grapes
watermelon: watermelon
tangerine: orange, tangerine
lemon: lemon
banana: banana
pineapple: pineapple
pear: pear
peach: peach
cherries: cherries
strawberry: strawberry
kiwi fruit: kiwi
tomato: tomato
avocado: avocado
eggplant: eggplant
carrot: carrot
ear of corn: corn
broccoli: broccoli
hot pepper: hot pepper, chili
bread: bread
cheese wedge: cheese
hamburger: hamburger, burger
french fries: french fries
pizza: pizza, slice of pizza
hot dog: hot dog
taco: taco
cooking: fried egg
egg: egg
ice cream: ice cream
soft ice cream: soft ice cream, ice cream cone
doughnut: donut, doughnut
cookie: cookie
birthday cake: birthday cake, cake
cupcake: cupcake
lollipop: lollipop
hot beverage: cup of coffee, coffee
beer mug: beer
wine glass: glass of wine, wine glass
castle: castle
church: church
tent: tent
volcano: volcano
snow-capped mountain: mountain
desert island: island
rainbow: rainbow
cloud: cloud
umbrella: umbrella
snowflake: snowflake
snowman: snowman
fire: fire, flame
droplet: water drop
high voltage: lightning bolt
ringed planet: planet, ringed planet
globe showing Americas: earth, globe
jack-o-lantern: pumpkin, jack-o-lantern
balloon: balloon, red balloon
wrapped gift: gift, present
trophy: trophy
soccer ball: soccer ball, football
basketball: basketball
game die: die
teddy bear: teddy bear
artist palette: palette
crown: crown
top hat: top hat
t-shirt: t-shirt
glasses: glasses
ring: ring
gem stone: gem, diamond
bell: bell
guitar: guitar
drum: drum
trumpet: trumpet
laptop: laptop
television: television
camera: camera
light bulb: light bulb
candle: candle
closed book: book, red book
envelope: envelope, letter
pencil: pencil
scissors: scissors
locked: lock
key: key
hammer: hammer
axe: axe
wrench: wrench
bomb: bomb
magnet: magnet
alarm clock: alarm clock, clock
telephone: telephone
door: door
chair: chair
grinning face: smiling face, grinning face, happy face
smiling face with sunglasses: face with sunglasses
smiling face with heart-eyes: face with heart eyes
winking face: winking face
face with tears of joy: laughing face, face with tears of joy
crying face: crying face, sad face
angry face: angry face
sleeping face: sleeping face
face with open mouth: surprised face
cowboy hat face: cowboy face
clown face: clown
skull: skull
ghost: ghost
alien: alien
robot: robot, robot face
pile of poo: pile of poo
grinning cat: grinning cat
"""

FAVOURED: dict[str, tuple[str, ...]] = {
    line.split(": ", 1)[0]: tuple(name.strip() for name in line.split(": ", 1)[1].split(","))
    for line in _NAMED.strip().splitlines()
}
"""emojibase label -> caption words, plainest first."""

OVERSAMPLED: dict[str, int] = {
    "red apple": 10,
    "cat face": 10,
    "rocket": 10,
    "house": 10,
    "deciduous tree": 10,
    "fox": 10,
    "evergreen tree": 5,
    "dog face": 5,
    "sun": 5,
    "red heart": 5,
    "star": 5,
    "automobile": 5,
    "fish": 5,
    "cherry blossom": 5,
    "mushroom": 5,
    "pizza": 5,
    "rabbit face": 5,
    "bear": 5,
    "crescent moon": 5,
    "ghost": 5,
    "robot": 5,
}
"""emojibase label -> how many times as often as other labels it is drawn."""

BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "red": (224, 49, 49),
    "orange": (245, 140, 40),
    "yellow": (250, 214, 60),
    "green": (56, 180, 75),
    "blue": (40, 110, 230),
    "light blue": (150, 205, 250),
    "purple": (130, 70, 200),
    "pink": (250, 160, 200),
    "grey": (160, 160, 160),
    "black": (20, 20, 20),
    "brown": (130, 85, 50),
}
"""background word -> sRGB colour, 0 to 255."""

STYLES: dict[str, str] = {
    "3d": "@lobehub/fluent-emoji-3d",
    "glossy": "@iconify-json/fluent-emoji",
    "flat": "@iconify-json/fluent-emoji-flat",
    "line icon": "@iconify-json/fluent-emoji-high-contrast",
    "cartoon": "@iconify-json/noto",
}
"""style word -> npm package that draws in that style."""
