/// The two-word name of a run, `calm-otter`: the last four hexadecimal digits of its id, each two of them a word.
///
/// A name is easier to say than digits and not unique: two of 300 runs probably share one. Whoever looks a run up
/// by its name must say so when more than one answers to it.
package enum RunName {
    package static func of(_ run: RunID) -> String {
        guard let bytes = Hex.decode(run.uuid.digits.suffix(4)), bytes.count == 2 else { return "" }
        return adjectives[Int(bytes[0])] + "-" + nouns[Int(bytes[1])]
    }

    /// The last four digits of every run of this name; `nil` when `text` is no name.
    package static func digits(of text: String) -> String? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let first = adjectives.firstIndex(of: String(parts[0])),
            let second = nouns.firstIndex(of: String(parts[1]))
        else { return nil }
        return Hex.encode([UInt8(first), UInt8(second)])
    }

    // The position of a word is its meaning: words may never be moved, replaced or removed.
    package static let adjectives: [String] = words(
        """
        able agile airy alert ample amber apt arctic ardent arid astral autumn avid azure balmy basic
        bold bonny brave breezy brief bright brisk broad bronze bubbly burly busy calm candid careful casual
        cheery chief chilly chubby civic civil classic clean clear clever cloudy coastal comfy common cool copper
        coral cordial cosmic cosy crafty crimson crisp cubic curly curious dainty dapper daring dashing deep deft
        dense dewy dizzy double downy dreamy dry dusky dusty eager early earnest earthy eastern easy elastic
        elder elegant emerald epic equal even exact fabled fair famous fancy fearless feathery fern fiery fine
        firm fit fleet floral fluent fluffy fond formal fragrant frank free fresh friendly frosty frugal full
        funny gallant general gentle giant gifted gilded glad gleaming glossy golden good grand grassy great green
        hale handy happy hardy hasty hazel hearty hidden high hollow honest humble icy ideal idle indigo
        ivory jade jaunty jolly jovial joyful keen kind large lasting lavish lazy leafy lean level light
        lilac lime linen lively local lofty long loud lovely loyal lucid lucky lunar lush magenta magic
        main major maroon mellow merry mighty mild minty misty modern modest mossy mute native navy neat
        nimble noble normal northern novel oaken oblong olive open orange oval pale pastel patient pearly peppy
        placid plain playful plucky plush polar polite prime proud pure quaint quick quiet rapid rare ready
        regal robust rosy round royal ruby rugged rustic sage salty sandy scarlet serene sharp shiny silent
        silken silver simple sleek slender sly smooth snowy solar solid spry stable starry steady sturdy sunny
        """)

    package static let nouns: [String] = words(
        """
        acorn albatross alder alpaca anchor antelope apple apricot arch aspen aster atoll aurora badger bamboo barley
        basin bay beacon beagle bear beaver beech beetle bell birch bison bloom bluff boat bobcat bough
        boulder breeze bridge brook buffalo cabin cactus camel canal canary candle canoe canyon cape caribou carp
        castle catfish cedar cello chalk cheetah cherry chestnut chimney cicada clam clarinet cliff cloud clover cobra
        comet compass condor coot cove coyote crab crane crater creek cricket crow cuckoo current cypress daisy
        dale delta desert dingo dolphin dove dragonfly drum duck dune eagle echo eel egret elk elm
        ember ermine falcon fawn fennel ferret field finch fjord flamingo flute forest fossil fountain fox frog
        galaxy gannet garden gazelle gecko geyser gibbon ginger giraffe glacier glade goat goose gorge granite grouse
        grove gull hamlet harbor hare harp hawk heath hedge heron hill hornet horse ibex ibis iguana
        inlet iris island ivy jackal jaguar jasmine jay juniper kayak kestrel kettle kite kiwi koala lagoon
        lake lantern lark laurel lemon lemur leopard lichen lily lion lizard llama lobster lotus lynx lyre
        magpie mango maple marlin marmot marsh meadow merlin meteor mill mink mole moon moor moose moth
        mountain mulberry narwhal nebula newt nutmeg oak oasis ocelot octopus okapi orchard orchid oriole osprey otter
        owl panda panther parrot peach peak pebble pelican penguin pepper petrel pheasant pigeon pine plover pond
        poplar poppy prairie puffin puma quail quartz rabbit raccoon raven reef reindeer ridge river robin salmon
        sparrow spruce squirrel starling stork summit swallow swan thistle tiger tulip turtle valley walrus willow wren
        """)

    private static func words(_ text: String) -> [String] {
        text.split { $0 == " " || $0 == "\n" }.map(String.init)
    }
}
